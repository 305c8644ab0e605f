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
    assert [*schemas.incompatible(), *schemas.drifted()] == []
    assert asyncapi.FILE.read_text() == asyncapi.text()


def test_every_message_has_one_topic_for_each_of_its_writers() -> None:
    for topic in TOPICS:
        for message in topic.messages:
            for writer in topic.writers:
                assert topic_of(message, writer) is topic
    with pytest.raises(LookupError, match="writes no topic"):
        topic_of(MESSAGES["RefundSettled"], "commerce")
