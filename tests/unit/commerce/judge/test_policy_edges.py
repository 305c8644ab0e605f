"""Policies at the edge of what is lawful, readable or worth a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.commerce.policy import floor, linter, loader, source
from services.commerce.policy.loader import FILE_BYTES_MAX, PolicyRefused
from services.commerce.policy.model import Match, Policy, Rule, SetSettings
from services.commerce.policy.source import PolicySource

Json = dict[str, Any]
HEAD = 'policy: p\nversion: "1"\n'
FAULTY = {"reason": ["defective"]}


def loaded(*rules: Json, **more: Any) -> Policy:
    named = [{"id": f"r{number}"} | rule for number, rule in enumerate(rules)]
    return loader.from_object({"policy": "p", "version": "1", "rules": named} | more)


def told(policy: Policy, kind: str) -> list[tuple[str | int, ...]]:
    return [each.path for each in linter.warnings(policy) if each.kind == kind]


@pytest.mark.parametrize(
    ("when", "change"),
    [
        ({"country": ["DE"]}, {"restocking_fee_bps": 0}),
        ({"country": ["DE"]}, {"window_days": 14, "send_within_days": 14}),
        ({"country": ["GB"], **FAULTY}, {"window_days": 30, "restocking_fee_bps": 0}),
        ({"country": ["DE"]}, {"refund_on": "proof_of_sending"}),
        ({"country": ["DE"], "buyer_type": ["business"]}, {"window_days": 1}),
        ({"country": ["US"]}, {"window_days": 1}),
    ],
)
def test_what_gives_exactly_what_the_law_gives_loads(when: Json, change: Json) -> None:
    assert loaded({"when": when, "set": change}).rules[0].when.country is not None


@pytest.mark.parametrize(
    ("when", "change", "row"),
    [
        ({"country": ["DE"]}, {"restocking_fee_bps": 1}, "EU-DIMVALUE"),
        ({"country": ["DE"]}, {"window_days": 13}, "EU-WD-GOODS"),
        ({"country": ["GB"], **FAULTY}, {"window_days": 29}, "UK-REJECT-30"),
        ({"region": ["US-CA"]}, {"restocking_fee_tax": "proportional"}, "US-CA-FEE-TAX"),
    ],
)
def test_one_less_than_the_law_gives_is_refused_with_the_row(
    when: Json, change: Json, row: str
) -> None:
    with pytest.raises(PolicyRefused, match=row):
        loaded({"when": when, "set": change})


@pytest.mark.parametrize(
    ("country", "region", "places"),
    [
        (("US",), ("US-CA", "DE-BE"), [("US", "CA")]),
        (("US", "DE"), ("US-CA",), [("DE", None), ("US", "CA")]),
        (None, ("US-CA", "DE-BE"), [("US", "CA"), ("DE", "BE")]),
        (("DE",), None, [("DE", None)]),
        (("DE",), ("US-CA",), [("DE", None)]),
    ],
)
def test_the_places_of_a_rule_are_its_regions_within_its_countries(
    country: tuple[str, ...] | None, region: tuple[str, ...] | None, places: list[Any]
) -> None:
    rule = Rule(id="r", when=Match(country=country, region=region), set=SetSettings())
    assert floor.places(rule) == places


def test_a_short_window_is_noted_for_faults_that_can_be_rejected_longer() -> None:
    place = {"country": ["GB"]}
    noted = [("rules", 0, "set", "window_days")]
    for change, buyers, said in (
        ({"window_days": 29}, {}, noted),
        ({"window_days": 30}, {}, []),
        ({"window_days": 29}, {"buyer_type": ["business"]}, []),
        ({"send_within_days": 20}, {}, []),
    ):
        policy = loaded(
            {"when": place | buyers, "set": change},
            defaults={"window_days": 30, "refund_on": "approval"},
        )
        assert told(policy, "law") == said


def test_a_rule_with_an_exception_shadows_only_what_has_the_same_exception() -> None:
    early = {"when": {"sku": ["A"]}, "set": {"window_days": 5}}
    late = {"when": {"sku": ["A*"]}, "set": {"window_days": 9}}
    same = {"unless": {"reason": ["other"]}}
    wider = {"unless": {"reason": ["other", "defective"]}}
    different = {"unless": {"condition": ["worn"]}}
    for mine, theirs, shadowed in (
        (same, same, True),
        (wider, same, True),
        (same, wider, False),
        (same, different, False),
        ({}, same, False),
        (same, {}, True),
    ):
        policy = loaded(early | mine, late | theirs)
        assert told(policy, "shadowed") == ([("rules", 0)] if shadowed else [])


def test_rules_about_two_traits_can_meet_in_one_line_and_contradict() -> None:
    policy = loaded(
        {"when": {"trait": ["perishable"]}, "set": {"window_days": 5}},
        {"when": {"trait": ["digital"]}, "set": {"window_days": 9}},
    )
    assert told(policy, "contradictory") == [("rules", 0)]


def test_a_gap_is_shown_where_it_is_in_the_file() -> None:
    text = HEAD + "rules:\n- id: a\n  when: {sku: [X]}\n  set:\n    return_shipping: customer\n"
    policy = loader.from_text(text, "p.yaml")
    [path] = [each for each in told(policy, "gap") if "return_shipping" in each]
    assert path == ("rules", 0, "set", "return_shipping")
    assert loader.line_of(text, "p.yaml", path) == 7


@pytest.mark.parametrize(
    "address", ["a@b@c.example", "a b@c.example", "a@", "@b.example", "a", "a@b .example"]
)
def test_what_is_no_e_mail_address_is_refused(address: str) -> None:
    with pytest.raises(PolicyRefused, match="no e-mail address"):
        loaded(escalation={"email": address})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD + "#" * FILE_BYTES_MAX,
            f"p.yaml:1: the file is larger than {FILE_BYTES_MAX} bytes; split the policy",
        ),
        (HEAD + "a: " + "[" * 5000, "p.yaml:1: the file is nested too deeply; flatten it"),
        (HEAD + "x: \x07\n", "p.yaml:1: this is not YAML: unacceptable character #x0007"),
        (HEAD + "x: 2026-99-99\n", "p.yaml:3: cannot be read: month must be in 1..12"),
        (HEAD + "x:\n  !!python/name:os.x ''\n", "p.yaml:4: cannot be read: could not determine"),
        (
            HEAD + "defaults: {refund_on: later}\n",
            "p.yaml:3: `refund_on`: 'later': is not one of the allowed values; use one of appro",
        ),
        (
            HEAD + "defaults: {return_shipping: nobody}\n",
            "p.yaml:3: `return_shipping`: 'nobody' is not allowed; use one of 'merchant' or 'cust",
        ),
        (HEAD + "policy2: x\n", "p.yaml:3: unknown key `policy2`: did you mean `policy`?"),
        (
            HEAD + f"rules:\n- id: {'x' * 201}\n  set: {{window_days: 1}}\n",
            "p.yaml:4: `id`: string should have at most 200 characters",
        ),
    ],
)
def test_a_file_that_cannot_be_read_says_its_line_and_the_way_out(text: str, said: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        loader.from_text(text, "p.yaml")
    [first, *_] = refused.value.lines()
    assert first.startswith(said), first


def test_a_file_is_read_as_utf_8_wherever_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_bytes((HEAD + 'texts: {refund_timing: "5–7 Tage für Sie"}\n').encode())
    assert source.read(file).texts.refund_timing == "5–7 Tage für Sie"


def test_a_folder_that_contradicts_itself_is_named_once(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(HEAD)
    with pytest.raises(PolicyRefused) as refused:
        source.read_versions(tmp_path)
    [only] = refused.value.lines()
    assert only.startswith(f"{tmp_path}:1: versions '1' and '1' start at the same time")


def test_a_file_that_is_changed_within_a_folder_is_taken_up(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(HEAD)
    policies = PolicySource(tmp_path)
    file.write_text(HEAD.replace('"1"', '"12"'))
    assert policies.refresh().changed and policies.versions.latest.version == "12"
    assert not policies.refresh().changed
