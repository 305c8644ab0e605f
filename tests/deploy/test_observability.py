"""Rules, dashboard and collector: valid, about metrics that exist, and leading into the runbook."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

import services
from tests.otelcol import CONFIGURATION, HOW_TO_GET_IT, binary

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "observability"
RULES = yaml.safe_load((FOLDER / "rules.yaml").read_text())
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
ALERTS = {
    rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule
}
RECORDED = {
    rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule
}
METRIC = re.compile(r"\breturns[_:][a-z0-9_:]+")
SELECTED = re.compile(r"(returns_[a-z0-9_]+)\{([^}]*)\}")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def exported() -> dict[str, set[str]]:
    """Every series that a service exports -> its labels."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if not re.search(r"\.(migrations|schema|__main__|ops)\b", module.name):
            importlib.import_module(module.name)
    found: dict[str, set[str]] = {}
    for collector in list(REGISTRY._names_to_collectors.values()):
        name, kind = getattr(collector, "_name", ""), getattr(collector, "_type", "")
        for suffix in SUFFIXES.get(kind, ()):
            found[f"{name}{suffix}"] = {*getattr(collector, "_labelnames", ()), "le"}
    return found


EXPORTED = exported()


def queries() -> Iterator[Any]:
    for group in RULES["groups"]:
        for rule in group["rules"]:
            yield pytest.param(rule["expr"], id=rule.get("alert") or rule["record"])
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")


@pytest.mark.parametrize("query", list(queries()))
def test_every_query_is_about_metrics_and_labels_that_the_code_exports(query: str) -> None:
    for metric in METRIC.findall(query):
        assert metric in EXPORTED or metric in RECORDED, f"nobody exports {metric}"
    for metric, selectors in SELECTED.findall(query):
        assert set(LABEL.findall(selectors)) <= EXPORTED[metric], f"{metric} has no such label"


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_every_alert_names_a_section_of_the_runbook(name: str) -> None:
    page, _, anchor = ALERTS[name]["annotations"]["runbook"].partition("#")
    text = (FOLDER.parent / page).read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}
    assert anchor in anchors, f"{page} has no section {anchor}"


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    cases = yaml.safe_load((FOLDER / "rules.test.yaml").read_text())["tests"]
    firing = {
        check["alertname"]
        for case in cases
        for check in case["alert_rule_test"]
        if check["exp_alerts"]
    }
    assert firing == set(ALERTS)


@pytest.mark.parametrize(
    "check",
    [("check", "config", "prometheus.yaml"), ("test", "rules", "rules.test.yaml")],
    ids=["config", "rules"],
)
def test_promtool_accepts_the_rules_and_their_unit_tests(check: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    done = subprocess.run(
        [promtool, *check], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_collector_itself_accepts_its_configuration() -> None:
    collector = binary()
    if collector is None:
        pytest.skip(HOW_TO_GET_IT)
    done = subprocess.run(
        [collector, "validate", f"--config={CONFIGURATION}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
