"""The types of the wire: what they take, what they refuse, and how they are written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contracts.base import (
    Bps,
    Currency,
    Flag,
    Free,
    Instant,
    MinorUnits,
    Quantity,
    Ratio,
    ReturnId,
    Text,
    write,
)  # fmt: skip
from contracts.decisions import CaseFact, ReturnDecisionMade
from contracts.orders import OrderSnapshot
from contracts.topics import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
ORDER: dict[str, Any] = json.loads((GOLDEN / "OrderSnapshot.json").read_text())


def read(type_: Any, text: str) -> Any:
    return TypeAdapter(type_).validate_json(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-03-20T10:00:00Z", "2026-03-20T10:00:00Z"),
        ("2026-03-20T10:00:00+01:00", "2026-03-20T09:00:00Z"),
        ("2026-03-20t10:00:00z", "2026-03-20T10:00:00Z"),
        ("2026-03-20T10:00:00.123456789-00:00", "2026-03-20T10:00:00.123456Z"),
    ],
)
def test_times_have_an_offset_and_are_written_in_utc(text: str, written: str) -> None:
    at = TypeAdapter(Instant)
    assert at.dump_json(at.validate_json(json.dumps(text))) == json.dumps(written).encode()


REFUSED = {
    "a date": (Instant, '"2026-03-20"'),
    "no offset": (Instant, '"2026-03-20T10:00:00"'),
    "seconds as text": (Instant, '"1700000000"'),
    "seconds": (Instant, "1700000000"),
    "before time": (Instant, '"0001-01-01T00:00:00+14:00"'),
    "words": (Instant, '"yesterday"'),
    "a decimal amount": (MinorUnits, "222.00"),
    "an amount as text": (MinorUnits, '"22200"'),
    "true as an amount": (MinorUnits, "true"),
    "a negative amount": (MinorUnits, "-1"),
    "a huge amount": (MinorUnits, "9" * 40),
    "no quantity": (Quantity, "0"),
    "too many bps": (Bps, "10001"),
    "a flag as text": (Flag, '"true"'),
    "a flag as number": (Flag, "1"),
    "a ratio as text": (Ratio, '"0.5"'),
    "a ratio as flag": (Ratio, "true"),
    "a ratio over one": (Ratio, "1.0001"),
    "no ratio": (Ratio, "NaN"),
    "a small currency": (Currency, '"usd"'),
    "a currency with a line break": (Currency, '"USD\\n"'),
    "no uuid": (ReturnId, '"return-1"'),
    "U+0000": (Text, '"a\\u0000"'),
    "half a character": (Text, '"\\ud800"'),
    "U+0000 in a free value": (Free, '[{"a": "\\u0000"}]'),
    "U+0000 in a free name": (Free, '{"\\u0000": 1}'),
    "an infinite free number": (Free, "[1e999]"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_exact_is_refused(case: str) -> None:
    type_, text = REFUSED[case]
    with pytest.raises(ValidationError):
        read(type_, text)


@given(st.floats(0, 1))
def test_ratios_have_four_decimals(ratio: float) -> None:
    kept = read(Ratio, json.dumps(ratio))
    assert len(json.dumps(kept).partition(".")[2]) <= 4 or kept < 0.001
    assert abs(kept - ratio) <= 0.00005 + 1e-12
    assert not str(kept).startswith("-")


@pytest.mark.parametrize("value", [None, 0, "", [None], {"a": None}])
def test_a_fact_of_a_case_is_written_also_when_there_is_none(value: object) -> None:
    fact = CaseFact(name="customer_since", value=value)
    assert json.loads(write(fact)) == {"name": "customer_since", "value": value}
    assert CaseFact.model_validate_json(write(fact)) == fact


def test_a_decision_with_an_empty_fact_travels() -> None:
    kept = json.loads((GOLDEN / "ReturnDecisionMade.json").read_text())
    case = {"case_sha256": "0" * 64, "facts": [{"name": "last4", "value": None}]}
    kept["escalation"] = {"reason": "policy_gap", "recommendation": "verify", "case": case}
    decision = ReturnDecisionMade.model_validate_json(json.dumps(kept))
    assert ReturnDecisionMade.model_validate_json(write(decision)) == decision
    assert b'"return":{' in write(decision)


@pytest.mark.parametrize(
    ("field", "sentence"), [("lines", "lines.line_id"), ("payments", "payments.payment_id")]
)
def test_an_order_names_each_line_and_each_payment_once(field: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        OrderSnapshot.model_validate_json(json.dumps(ORDER | {field: ORDER[field] * 2}))


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_null_and_absent_mean_the_same(name: str) -> None:
    model = MESSAGES[name]
    kept = json.loads((GOLDEN / f"{name}.json").read_text())
    optional = [
        field.alias or key
        for key, field in model.model_fields.items()
        if not field.is_required() and field.default is None
    ]
    without = {key: value for key, value in kept.items() if key not in optional}
    if name in ("ReturnRequest", "ParcelScanned", "ItemReceived", "ItemInspected"):
        without |= {key: kept[key] for key in ("order_id", "return_id") if key in kept}
    nulls = dict.fromkeys(set(optional) - set(without)) | without
    assert model.model_validate_json(json.dumps(nulls)) == model.model_validate_json(
        json.dumps(without)
    )
