"""The manifests say what the code says: variables, ports, probes; secrets only by reference."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.topics import PARTITIONS
from services.chassis.environment import FILE
from services.chassis.settings import Settings
from services.fulfillment.configuration import OutsideSettings
from services.payment.configuration import MoneySettings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
DOCUMENTS: list[dict[str, Any]] = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
SERVICES = ("commerce", "fulfillment", "payment", "gateway")
VARIABLES = {
    name.upper()
    for settings in (Settings, OutsideSettings, MoneySettings)
    for name in settings.model_fields
} | {f"{name.upper()}_MIGRATION_DATABASE_URL" for name in SERVICES}


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in DOCUMENTS if each["kind"] == kind}


def containers() -> Iterator[dict[str, Any]]:
    for each in (*of_kind("Deployment").values(), *of_kind("Job").values()):
        yield from each["spec"]["template"]["spec"]["containers"]


def names() -> list[str]:
    """Every variable that a manifest sets."""
    told = [variable["name"] for each in containers() for variable in each["env"]]
    return told + [name for each in of_kind("ConfigMap").values() for name in each["data"]]


@pytest.mark.parametrize("name", names())
def test_every_variable_is_one_that_the_code_reads(name: str) -> None:
    assert name in VARIABLES or name.removesuffix(FILE) in VARIABLES


def test_every_setting_can_be_read_as_the_config_map_gives_it() -> None:
    data = of_kind("ConfigMap")["returns"]["data"]
    assert Settings(**{name.lower(): value for name, value in data.items()}).listen_host


@pytest.mark.parametrize("service", SERVICES)
def test_ports_and_probes_are_those_of_the_code(service: str) -> None:
    [container] = of_kind("Deployment")[service]["spec"]["template"]["spec"]["containers"]
    port = Settings.model_fields[f"{service}_port"].default
    assert container["args"] == [f"services.{service}"]
    assert (ROOT / "services" / service / "__main__.py").exists()
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert of_kind("Service")[service]["spec"]["ports"][0]["port"] == port
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_scales_with_its_own_group_and_never_beyond_the_partitions(service: str) -> None:
    spec = of_kind("ScaledObject")[service]["spec"]
    [trigger] = spec["triggers"]
    assert spec["scaleTargetRef"] == {"name": service}
    assert trigger["type"] == "kafka"
    assert trigger["metadata"]["consumerGroup"] == service
    assert spec["minReplicaCount"] == 2
    assert spec["maxReplicaCount"] <= PARTITIONS
    assert trigger["authenticationRef"]["name"] in of_kind("TriggerAuthentication")
    assert of_kind("PodDisruptionBudget")[service]["spec"]["minAvailable"] == 1


@pytest.mark.parametrize("container", list(containers()), ids=lambda each: each["name"])
def test_secrets_come_as_files_and_nothing_runs_with_more_rights_than_it_needs(
    container: dict[str, Any],
) -> None:
    for variable in container["env"]:
        secret = any(word in variable["name"] for word in ("PASSWORD", "_URL", "SECRET", "KEY"))
        assert not secret or variable["value"].startswith("/run/"), variable
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert "memory" in container["resources"]["limits"]


def test_no_secret_is_written_down() -> None:
    assert of_kind("Secret") == {}


def test_what_is_built_is_complete() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    assert len(built) == len(DOCUMENTS) - 1, "the kustomization leaves a document out"
    assert {each["metadata"]["namespace"] for each in built} == {"returns"}
