"""The golden examples: documents for `returns decide`, with what has to come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.decisions import ReturnDecisionMade
from services.commerce import judgement
from services.commerce.policy.versions import BUILT_IN_VERSIONS
from services.ops import decide

GOLDEN = Path(__file__).parents[4] / "tests" / "golden"
FILES = sorted(GOLDEN.glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_golden_document_gives_the_numbers_of_the_table(file: Path) -> None:
    document = json.loads(file.read_text("utf-8"))
    decision = judgement.judge(decide.read_case(1, document, BUILT_IN_VERSIONS))
    made = decision.model_dump(mode="json", exclude_none=True)
    for path, wanted in document["expect"].items():
        operator, _, dotted = path.rpartition(" ")
        _check(operator, _at(made, dotted), wanted, dotted)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_paying_all_at_once_is_the_same_with_and_without_judging_again(file: Path) -> None:
    document = json.loads(file.read_text("utf-8"))
    case = decide.read_case(1, document, BUILT_IN_VERSIONS)
    decision = judgement.judge(case)
    if case.order is None or decision.decision != "approved":
        return
    units = {line.line_id: line.units for line in decision.lines if line.line_id is not None}
    at_once = judgement.release_all(case.order, decision, units)
    assert at_once == judgement.release(case, decision, units)
    fewer = {line_id: ordinals[1:] for line_id, ordinals in units.items()}
    assert judgement.release_all(case.order, decision, fewer) is None


def test_every_golden_example_is_a_document() -> None:
    present = {file.stem.split("-")[0] for file in FILES}
    assert present == {f"G{number}" for number in range(1, 17)} - {"G12"} | {"G1b", "G1c", "G3b"}


def _at(value: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        if isinstance(value, list):
            value = value[int(part)] if int(part) < len(value) else None
        else:
            value = (value or {}).get(part)
    return value


def _check(operator: str, got: Any, wanted: Any, path: str) -> None:
    if operator == ">=":
        assert got >= wanted, path
    elif operator == "<=":
        assert got <= wanted, path
    elif operator == "has":
        assert wanted in got, path
    elif operator == "codes":
        assert wanted in {finding["code"] for finding in got}, path
    elif operator == "rules":
        assert wanted in {finding["rule_id"] for finding in got}, path
    else:
        assert got == wanted, path


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_decision_is_what_reading_it_again_gives(file: Path) -> None:
    """Parts of it are made without being checked: every field, in the order of its message."""
    made = judgement.judge(
        decide.read_case(1, json.loads(file.read_text("utf-8")), BUILT_IN_VERSIONS)
    )
    again = ReturnDecisionMade.model_validate_json(made.model_dump_json())
    assert again.model_dump_json() == made.model_dump_json()
    for part in (made, made.facts, made.return_, made.settlement, *made.lines):
        assert list(dict(part)) == list(type(part).model_fields)
