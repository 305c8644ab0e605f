"""What was written once can be read for ever, and is written the same."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from contracts import asyncapi, schemas
from contracts.base import unknown_values, write
from contracts.topics import MESSAGES, TOPICS, topic_of

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_each_message_reads_its_golden_file_and_writes_the_same(name: str) -> None:
    kept = json.loads((GOLDEN / f"{name}.json").read_text())
    message = MESSAGES[name].model_validate_json(json.dumps(kept))
    assert json.loads(write(message)) == kept
    jsonschema.validate(kept, schemas.schema_of(MESSAGES[name]))


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_readers_ignore_what_a_newer_writer_adds(name: str) -> None:
    kept = json.loads((GOLDEN / f"{name}.json").read_text())
    message = MESSAGES[name].model_validate_json(json.dumps(kept | {"added_later": [1, {"a": 2}]}))
    assert json.loads(write(message)) == kept


def test_an_unknown_enum_value_is_read_as_unknown_and_named() -> None:
    kept = json.loads((GOLDEN / "ReturnRequest.json").read_text())
    kept["lines"][0]["reason"] = "a reason of the year 2030"
    request = MESSAGES["ReturnRequest"].model_validate_json(json.dumps(kept))
    assert list(unknown_values(request)) == ["lines.0.reason"]


def test_schemas_and_asyncapi_are_what_the_models_say() -> None:
    assert schemas.check() == []
    assert asyncapi.FILE.read_text() == asyncapi.text()


def base() -> dict[str, object]:
    return {
        "type": "object",
        "properties": {
            "a": {"type": "string", "maxLength": 10},
            "b": {"type": "integer", "minimum": 0},
            "c": {"enum": ["x", "y"], "type": "string"},
        },
        "required": ["a"],
    }


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: s["properties"].pop("b"), "b: the field was taken away"),
        (lambda s: s["properties"].update(b={"type": "string"}), "b: the type was"),
        (lambda s: s["required"].append("b"), "b: became required"),
        (lambda s: s["properties"]["a"].update(maxLength=5), "a: maxLength became tighter"),
        (lambda s: s["properties"]["b"].update(minimum=1), "b: minimum became tighter"),
        (lambda s: s["properties"]["c"].update(enum=["x"]), "c: enum values were taken away"),
    ],
)
def test_a_change_that_breaks_others_is_found(change: object, named: str) -> None:
    changed = json.loads(json.dumps(base()))
    change(changed)  # type: ignore[operator]
    assert any(named in each for each in schemas.breaks(base(), changed))


def test_a_change_that_only_adds_is_allowed() -> None:
    added = base()
    added["properties"]["d"] = {"type": "string"}  # type: ignore[index]
    added["properties"]["c"]["enum"].append("z")  # type: ignore[index]
    assert schemas.breaks(base(), added) == []


def test_every_message_has_one_topic_for_each_of_its_writers() -> None:
    for topic in TOPICS:
        for message in topic.messages:
            for writer in topic.writers:
                assert topic_of(message, writer) is topic
    with pytest.raises(LookupError, match="writes no topic"):
        topic_of(MESSAGES["RefundSettled"], "commerce")
