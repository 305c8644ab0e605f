"""The policy file: what is refused, with the line and how to mend it; what is warned about."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from services.commerce.policy import linter, loader, source
from services.commerce.policy.loader import PolicyRefused
from services.commerce.policy.model import BUILT_IN, Policy
from services.commerce.policy.source import PolicySource
from services.commerce.policy.versions import Versions

EXAMPLES = sorted((Path(__file__).parents[4] / "deploy" / "policies").glob("*.yaml"))
HEAD = 'policy: p\nversion: "1"\n'


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('version: "1"\n', 1, "`policy` is missing: add `policy: …`"),
        ("policy: p\n", 1, "`version` is missing"),
        ("policy: p\nversion: 1\n", 2, "put it in quotes"),
        (HEAD + "color: red\n", 3, "unknown key `color`"),
        (HEAD + "defaults:\n  window_day: 3\n", 4, "did you mean `window_days`?"),
        (HEAD + "defaults:\n  window_days: ten\n", 4, "write a whole number"),
        (HEAD + "defaults:\n  window_days: 1.5\n", 4, "window_days"),
        (HEAD + "defaults:\n  window_days: -1\n", 4, "write 0 or more"),
        (HEAD + "defaults:\n  returnable: yes\n", 4, "write true or false"),
        (HEAD + "defaults:\n  restocking_fee_bps: 10001\n", 4, "write 10000 or less"),
        (HEAD + "defaults:\n  refund_on: never\n", 4, "use one of approval"),
        (HEAD + "defaults:\n  window_anchor: moon\n", 4, "'delivered', 'shipped' or 'ordered'"),
        (HEAD + "defaults:\n  conditions:\n    - opened\n    - eaten\n", 6, "unopened"),
        (HEAD + "defaults:\n  conditions: opened\n", 4, "write a list"),
        (HEAD + "defaults:\n  return_shipping_fee: {DOLLAR: 5}\n", 4, "ISO 4217"),
        (HEAD + "defaults:\n  return_shipping_fee: {USD: -5}\n", 4, "0 or more"),
        (HEAD + "limits:\n  high_risk_countries: [XX]\n", 4, "ISO 3166-1"),
        (HEAD + "limits:\n  confidence_min: 2\n", 4, "too high"),
        (HEAD + 'limits:\n  risk_freeze_at: "0.5"\n', 4, "number between 0 and 1"),
        (HEAD + "limits:\n  goodwill: {days: 3}\n", 4, "unknown key `days`"),
        (HEAD + "rules:\n- id: a\n  set: {window_days: 1}\n- id: a\n  set: {}\n", 6, "used twice"),
        (HEAD + "rules:\n- set: {window_days: 1}\n", 4, "`id` is missing"),
        (HEAD + "rules:\n- id: a\n", 4, "`set` is missing"),
        (HEAD + "rules:\n- id: a\n  when: {trait: [loud]}\n  set: {}\n", 5, "perishable"),
        (HEAD + "rules:\n- id: a\n  when: {region: [CA]}\n  set: {}\n", 5, "such as US-CA"),
        (HEAD + "rules:\n- id: a\n  when: {country: [DE]}\n  set: {window_days: 3}\n", 4, "EU-WD"),
        (HEAD + "effective_from: 2026-01-01\n", 3, "2026-01-01T00:00:00Z"),
        (HEAD + 'effective_from: "2026"\n', 3, "2026-01-01T00:00:00Z"),
        (HEAD + "escalation: {email: nobody}\n", 3, "no e-mail address"),
        (HEAD + "return_addresses: {default: {name: A}}\n", 3, "missing"),
        (HEAD + "policy: q\n", 3, "given twice"),
        (HEAD + "rules: [\n", 4, "not YAML"),
        ("", 1, "empty"),
        ("- a\n", 1, "mapping"),
        ("a: &a [1,1,1,1,1,1,1,1]\n" + "".join(
            f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 8)}]\n"
            for n in range(8)
        ), 1, "aliases"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_load_says_where_why_and_how_to_mend_it(
    text: str, line: int, said: str
) -> None:
    with pytest.raises(PolicyRefused) as refused:
        loader.from_text(text, "policy.yaml")
    [first, *_] = refused.value.lines()
    assert first.startswith(f"policy.yaml:{line}: "), first
    assert said in "\n".join(refused.value.lines())


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = HEAD + "defaults:\n  window_days: -1\n  color: red\nlimits: {confidence_min: 7}\n"
    with pytest.raises(PolicyRefused) as refused:
        loader.from_text(text, "p.yaml")
    assert [problem.line for problem in refused.value.problems] == [4, 5, 6]


def test_norway_is_a_country() -> None:
    policy = loader.from_text(HEAD + "limits: {high_risk_countries: [NO]}\n", "p.yaml")
    assert policy.limits.high_risk_countries == ("NO",)


def test_an_empty_policy_is_the_built_in_one() -> None:
    policy = loader.from_text(HEAD, "p.yaml")
    assert policy.model_dump(exclude={"policy", "version"}) == BUILT_IN.model_dump(
        exclude={"policy", "version"}
    )
    assert [rule.id for rule in policy.rules] == ["perishables", "personalised"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_example_policies_load_and_contradict_nothing(file: Path) -> None:
    policy = source.read(file)
    assert not [each for each in linter.warnings(policy) if each.kind not in ("law", "gap")]


def test_there_are_three_examples() -> None:
    assert len(EXAMPLES) >= 3


def kinds(rules: str) -> list[tuple[str, str]]:
    policy = loader.from_object({"policy": "p", "version": "1", "rules": yaml.safe_load(rules)})
    return [
        (each.kind, str(each.path[1]))
        for each in linter.warnings(policy)
        if each.kind in ("unreachable", "shadowed", "contradictory")
    ]


def test_the_linter_names_rules_that_can_never_apply() -> None:
    assert kinds("[{id: a, when: {country: []}, set: {window_days: 5}}]") == [("unreachable", "0")]
    assert kinds("[{id: a, when: {country: [US], region: [CA-ON]}, set: {window_days: 5}}]") == [
        ("unreachable", "0")
    ]
    assert kinds(
        "[{id: a, when: {trait: [digital]}, unless: {trait: [digital]}, set: {window_days: 5}}]"
    ) == [("unreachable", "0")]
    assert kinds("[{id: a, when: {}, set: {}}]") == [("unreachable", "0")]


def test_the_linter_names_rules_that_have_no_effect() -> None:
    shadowed = """
    - {id: a, when: {sku: [A-1]}, set: {window_days: 5}}
    - {id: b, when: {sku: ["A-*"]}, set: {window_days: 9, refund_on: receipt}}
    """
    assert kinds(shadowed) == [("shadowed", "0")]
    partly = shadowed.replace("window_days: 5", "window_days: 5, loyalty: none")
    assert kinds(partly) == []
    spared = shadowed.replace(
        "set: {window_days: 9", "unless: {reason: [other]}, set: {window_days: 9"
    )
    assert kinds(spared) == []


def test_the_linter_names_rules_that_contradict() -> None:
    rules = """
    - {id: a, when: {category: [shoes]}, set: {window_days: 5}}
    - {id: b, when: {country: [US]}, set: {window_days: 9}}
    """
    assert kinds(rules) == [("contradictory", "0")]
    assert kinds(rules.replace("9", "5")) == []
    apart = rules.replace("country: [US]", "category: [hats]")
    assert kinds(apart) == []


def test_the_linter_names_gaps_and_where_the_law_overrules() -> None:
    text = HEAD + (
        "defaults: {return_shipping: customer, loyalty: cash_equivalent, window_days: 7,"
        " keep_item_up_to: {CHF: 5}}\nrules: []\nreturn_addresses: {}\n"
    )
    told = "\n".join(each.message for each in linter.warnings(loader.from_text(text, "p")))
    for part in ("return_shipping_fee", "point_value", "CHF", "default", "perishable", "fewer"):
        assert part in told, part


def version(name: str, since: str | None) -> Policy:
    start = {} if since is None else {"effective_from": since}
    return loader.from_object({"policy": "p", "version": name} | start)


def test_an_order_is_judged_by_the_version_in_force_when_it_was_placed() -> None:
    versions = Versions.of(
        [version("b", "2026-02-01T00:00:00Z"), version("a", "2026-01-01T00:00:00Z")]
    )
    at = {day: versions.at(datetime(2026, *day, tzinfo=UTC)).version for day in ((1, 15), (2, 1))}
    assert at == {(1, 15): "a", (2, 1): "b"}
    assert versions.at(datetime(2025, 1, 1, tzinfo=UTC)).version == "a"
    assert versions.latest.version == "b"


def test_two_versions_may_not_start_together_or_share_a_name() -> None:
    with pytest.raises(ValueError, match="same time"):
        Versions.of([version("a", None), version("b", None)])
    with pytest.raises(ValueError, match="same policy and version"):
        Versions.of([version("a", None), version("a", "2026-01-01T00:00:00Z")])


def test_a_changed_file_is_taken_up_and_a_broken_one_leaves_the_old_in_force(
    tmp_path: Path,
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(HEAD)
    policies = PolicySource(file)
    assert not policies.refresh().changed
    file.write_text(HEAD.replace('"1"', '"22"'))
    assert policies.refresh().changed and policies.versions.latest.version == "22"
    file.write_text(HEAD.replace('"1"', '"333"') + "nonsense: 1\n")
    refused = policies.refresh().refused
    assert refused is not None and "policy.yaml:3" in str(refused)
    assert policies.versions.latest.version == "22"
    assert policies.refresh().refused is None
    file.unlink()
    assert policies.refresh().refused is not None
    assert policies.versions.latest.version == "22"


def test_a_folder_holds_versions(tmp_path: Path) -> None:
    for name, since in (("a", "2026-01-01T00:00:00Z"), ("b", "2026-02-01T00:00:00Z")):
        text = f'policy: p\nversion: "{name}"\neffective_from: {since}\n'
        (tmp_path / f"{name}.yaml").write_text(text)
    policies = PolicySource(tmp_path)
    assert [each.version for each in policies.versions.policies] == ["a", "b"]
    (tmp_path / "c.yaml").write_text("policy: p\n")
    assert policies.refresh().refused is not None
    assert PolicySource(None).versions.latest.policy == BUILT_IN.policy


def test_a_process_does_not_start_with_a_broken_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match="cannot be read"):
        PolicySource(tmp_path / "missing.yaml")
    with pytest.raises(PolicyRefused, match="no policy file"):
        PolicySource(tmp_path)
