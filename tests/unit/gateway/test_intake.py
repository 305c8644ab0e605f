"""Reading bodies: whatever the bytes, a message or a problem that names fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from contracts.base import unknown_values
from contracts.orders import OrderSnapshot
from contracts.requests import QuoteRequest
from services.chassis.http import Problem
from services.gateway import bodies, intake
from services.gateway.api import examples

MODELS: dict[type[BaseModel], dict[str, Any]] = {
    bodies.Return: examples.REQUEST,
    bodies.Cancel: examples.CANCEL,
    bodies.Evidence: examples.EVIDENCE,
    bodies.Settlement: examples.SETTLEMENT,
    bodies.Reversal: examples.REVERSAL,
    bodies.Review: examples.REVIEW,
    bodies.Scan: examples.SCAN,
    bodies.Receipt: examples.RECEIPT,
    bodies.Inspection: examples.INSPECTION,
    OrderSnapshot: examples.ORDER,
    QuoteRequest: examples.QUOTE_REQUEST,
}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def answered(raw: bytes, model: type[BaseModel]) -> BaseModel | Problem:
    try:
        return intake.read(raw, model)
    except Problem as refusal:
        problem = refusal
    assert problem.status == 422
    assert problem.errors
    assert all(field and message for field, message in problem.errors)
    return problem


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_example_is_a_valid_body(model: type[BaseModel]) -> None:
    body = intake.read(json.dumps(MODELS[model]).encode(), model)
    assert not list(unknown_values(body))


@given(st.sampled_from(sorted(MODELS, key=lambda model: model.__name__)), st.binary(max_size=200))
def test_no_bytes_are_too_strange(model: type[BaseModel], raw: bytes) -> None:
    answered(raw, model)


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for step, inner in items:
        found += places(inner, (*path, step))
    return found


@given(st.data())
def test_a_body_with_one_value_replaced_is_read_or_refused(data: st.DataObject) -> None:
    model = data.draw(st.sampled_from(sorted(MODELS, key=lambda each: each.__name__)))
    body = json.loads(json.dumps(MODELS[model]))
    *way, last = data.draw(st.sampled_from(places(body)))
    target = body
    for step in way:
        target = target[step]
    target[last] = data.draw(ANY_JSON)
    answered(json.dumps(body).encode("utf-8", "surrogatepass"), model)


def test_unknown_values_are_named_beside_other_faults_at_any_depth() -> None:
    body = examples.ORDER | {
        "version": "one",
        "buyer": examples.ORDER["buyer"] | {"type": "robot"},
        "lines": [examples.ORDER["lines"][0] | {"traits": ["perishable", "haunted"]}],
    }
    problem = answered(json.dumps(body).encode(), OrderSnapshot)
    assert isinstance(problem, Problem)
    assert {field for field, _ in problem.errors} == {
        "version",
        "buyer.type",
        "lines.0.traits.1",
    }
