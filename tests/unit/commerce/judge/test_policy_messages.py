"""What people read about a broken, unlawful or doubtful policy, word for word.

The expected words stand in `policy_messages.txt`: after a change of words run this file as a
program and read the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.commerce.policy import linter, loader, source
from services.commerce.policy.loader import PolicyRefused
from services.commerce.policy.versions import Versions

KEPT = Path(__file__).with_name("policy_messages.txt")
Json = dict[str, Any]


def rule(when: Json, change: Json, **more: Any) -> Json:
    return {"id": "r", "when": when, "set": change} | more


def rules(*given: Json, **more: Any) -> Json:
    return {"policy": "p", "version": "1", "rules": list(given)} | more


DE, GB, BR, FR = ({"country": [each]} for each in ("DE", "GB", "BR", "FR"))
FAULT = {"reason": ["defective"]}
UNLAWFUL = [
    rules(rule(DE, {"window_days": 13})),
    rules(rule(FR, {"window_days": 14, "window_anchor": "ordered"}), defaults={"transit_days": 9}),
    rules(rule(GB, {"window_anchor": "shipped"}), defaults={"window_days": 20}),
    rules(rule(DE, {"returnable": False, "restocking_fee_bps": 1, "refund_on": "receipt"})),
    rules(rule(GB, {"returnable": False, "restocking_fee_bps": 1, "refund_on": "inspection"})),
    rules(rule(DE, {"resolutions": ["exchange"], "send_within_days": 3})),
    rules(rule(GB, {"resolutions": ["store_credit"], "send_within_days": 13})),
    rules(rule(DE, {"outbound_shipping": "none", "loyalty": "cash_equivalent"})),
    rules(rule(GB, {"outbound_shipping": "none", "loyalty": "cash_equivalent"})),
    rules(rule(BR, {"return_shipping": "customer", "returnable": False})),
    rules(rule(BR, {"return_shipping_fee": {"BRL": 5}}), defaults={"return_shipping": "customer"}),
    rules(rule({"region": ["US-CA"]}, {"restocking_fee_tax": "proportional"})),
    rules(rule(GB | FAULT, {"window_days": 29, "resolutions": ["exchange"]})),
    rules(rule({"country": ["AU"]} | FAULT, {"returnable": False, "restocking_fee_bps": 9})),
    rules(rule({"country": ["KR"]}, {"returnable": False})),
    rules(rule(DE, {"window_days": 1}), rule(DE, {"window_days": 20}, id="s")),
]
LAWFUL = [
    rules(rule(DE | {"trait": ["perishable", "digital"]}, {"returnable": False})),
    rules(rule(DE, {"window_days": 1}, unless={"buyer_type": ["consumer"]})),
    rules(rule({"country": ["US", "DE"], "region": ["DE-BY"]}, {"window_days": 14})),
    rules(rule(GB, {"window_days": 14})),
    rules(
        rule(BR, {"return_shipping": "merchant", "return_shipping_fee": {"BRL": 5}}),
        defaults={"return_shipping": "customer"},
    ),
]
BROKEN: list[Any] = [
    [],
    {"policy": "p"},
    {"version": "1", "policy": 3},
    rules(window=3),
    rules(defaults={"window_day": 3, "returnable": "yes", "refund_on": "tomorrow"}),
    rules(defaults={"window_days": -1, "restocking_fee_bps": 10001, "resolutions": "refund"}),
    rules(defaults={"return_shipping_fee": {"ABC": 1}, "keep_item_up_to": 5}),
    rules(rule({"countries": ["DE"]}, {})),
    rules(rule({"country": ["Germany"]}, {"window_days": "x"})),
    rules(rule({"region": ["CA"], "reason": ["bored"]}, {})),
    rules(rule({}, {}), rule({}, {})),
    rules(limits={"confidence_min": 1.5, "goodwill": {"days": 1}, "high_risk_countries": ["X"]}),
    rules(escalation={"email": "nobody"}, effective_from="2026-01-01"),
    rules(return_addresses={"default": {"name": "A"}, "Mars": {}}),
    rules(rule({"region": ["XX-CA", "US-"]}, {})),
    rules(
        return_addresses={
            "default": {
                "name": "A",
                "line1": "1",
                "city": "B",
                "postal_code": "1",
                "country": "DE",
                "planet": "Earth",
            }
        }
    ),
]
DOUBTFUL = [
    rules(
        rule({"category": []}, {"window_days": 30}, id="a"),
        rule({"country": ["US"], "region": ["CA-ON"]}, {"window_days": 30}, id="b"),
        rule({"sku": ["X-1"]}, {"window_days": 30}, unless={"sku": ["X-*"]}, id="c"),
        rule({"sku": ["Y-*"]}, {}, id="d"),
    ),
    rules(
        rule({"category": ["a"]}, {"window_days": 20}, id="a"),
        rule({"category": ["a", "b"]}, {"window_days": 25}, id="b"),
        rule({"category": ["c"], "country": ["US"]}, {"window_days": 20}, id="c"),
        rule({"category": ["c"], "trait": ["digital"]}, {"window_days": 25}, id="d"),
        rule({"sku": ["S-1", "T*"]}, {"refund_on": "approval"}, id="e"),
        rule({"sku": ["S-*"], "category": ["z"]}, {"refund_on": "receipt"}, id="f"),
        rule({"sku": ["Q"]}, {"send_within_days": 20}, unless={"category": ["q"]}, id="g"),
        rule({"category": ["q"]}, {"send_within_days": 30}, id="h"),
    ),
    rules(
        rule(GB, {"window_days": 14}, id="a"),
        rule({"trait": ["perishable", "personalised"]}, {"returnable": False}, id="b"),
        rule({"category": ["x"]}, {"window_days": 20}, id="c"),
        rule({"category": ["x"], "sku": ["X"]}, {"window_days": 21}, id="d"),
        rule({"channel": ["api"]}, {"window_days": 22}, id="e"),
        defaults={"window_days": 14, "send_within_days": 14, "refund_on": "approval"},
    ),
    rules(
        defaults={
            "window_days": 5,
            "window_anchor": "shipped",
            "restocking_fee_bps": 5,
            "outbound_shipping": "none",
            "send_within_days": 5,
            "loyalty": "cash_equivalent",
            "return_shipping": "customer",
            "resolutions": ["exchange"],
        },
        limits={"four_eyes_above": {"JPY": 1}},
        return_addresses={
            "DE": {"name": "A", "line1": "1", "city": "B", "postal_code": "1", "country": "DE"}
        },
    ),
]


def told() -> Iterator[str]:
    """Everything, one message a line, by group."""
    for name, group in (("unlawful", UNLAWFUL), ("lawful", LAWFUL), ("broken", BROKEN)):
        yield f"# {name}"
        for number, policy in enumerate(group):
            text = yaml.safe_dump(policy, sort_keys=False)
            try:
                loader.from_text(text, f"{number}.yaml")
                yield f"{number}.yaml loads"
            except PolicyRefused as refused:
                yield from refused.lines()
    yield "# doubtful"
    for number, policy in enumerate(DOUBTFUL):
        text = yaml.safe_dump(policy, sort_keys=False)
        name = f"{number}.yaml"
        for each in linter.warnings(loader.from_text(text, name)):
            line = loader.line_of(text, name, each.path)
            yield f"{name}:{line}: {each.kind}: {each.message}"
    yield "# text"
    for text in ("", "a: [", "a: 1\na: 2", "? [a]\n: 1", "policy: p\nversion: *x", "x: 2026-99-99"):
        try:
            loader.from_text(text, "text.yaml")
        except PolicyRefused as refused:
            yield from refused.lines()


def test_the_messages_about_policies_are_those_that_were_read_and_found_good() -> None:
    assert list(told()) == KEPT.read_text("utf-8").splitlines()


def test_files_that_cannot_be_read_say_why_and_all_of_a_folder_are_named(tmp_path: Path) -> None:
    good, bad, binary = (tmp_path / name for name in ("a.yaml", "b.yml", "c.yaml"))
    good.write_text("policy: p\nversion: '1'\n")
    assert source.read(good).version == "1"
    assert source.read_versions(good).latest.policy == "p"
    assert source.files(good) == [good]
    bad.write_text("policy: p\n")
    binary.write_bytes(b"\xff\xfe")
    (tmp_path / "notes.txt").write_text("no policy")
    assert source.files(tmp_path) == [good, bad, binary]
    with pytest.raises(PolicyRefused) as refused:
        source.read_versions(tmp_path)
    assert str(refused.value).splitlines() == [
        f"{bad}:1: `version` is missing: add `version: …`",
        f"{binary}:1: is not UTF-8; save it as UTF-8",
    ]
    with pytest.raises(PolicyRefused) as refused:
        source.read(tmp_path / "missing.yaml")
    assert str(refused.value) == (
        f"{tmp_path / 'missing.yaml'}:1: cannot be read: No such file or directory"
    )


def test_versions_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    since = "effective_from: 2026-01-01T00:00:00Z\n"
    (tmp_path / "a.yaml").write_text(f"policy: p\nversion: '1'\n{since}")
    (tmp_path / "b.yaml").write_text(f"policy: p\nversion: '2'\n{since}")
    with pytest.raises(PolicyRefused, match="'1' and '2' start at the same time; give each its"):
        source.read_versions(tmp_path)
    (tmp_path / "b.yaml").write_text("policy: p\nversion: '1'\n")
    with pytest.raises(PolicyRefused, match="same policy and version; number them apart"):
        source.read_versions(tmp_path)
    (tmp_path / "b.yaml").write_text("policy: p\nversion: '2'\n")
    found = source.read_versions(tmp_path)
    assert [each.version for each in found.policies] == ["2", "1"]
    with pytest.raises(ValueError, match="there is no policy file; write one, or unset"):
        Versions.of([])


if __name__ == "__main__":
    KEPT.write_text("\n".join(told()) + "\n", "utf-8")
