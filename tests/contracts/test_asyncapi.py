"""The document of the bus says what the table of topics says, in AsyncAPI's own words."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from contracts import asyncapi, schemas
from contracts.envelope import message_type
from contracts.topics import MESSAGES, TOPICS

DOCUMENT = asyncapi.document()


def at(reference: str) -> Any:
    place: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        place = place[step.replace("~1", "/")]
    return place


def test_a_foreign_reader_takes_the_document() -> None:
    read = ApplicationSchema.model_validate(DOCUMENT)
    assert set(read.channels) == {topic.name for topic in TOPICS}


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT)))
    assert references
    for reference in references:
        assert at(reference)


def test_no_two_definitions_share_a_name() -> None:
    seen: dict[str, Any] = {}
    for message in MESSAGES.values():
        for name, definition in schemas.schema_of(message).get("$defs", {}).items():
            assert seen.setdefault(name, definition) == definition, name
            assert name not in MESSAGES


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_each_topic_names_its_messages_writers_and_readers(topic: Any) -> None:
    channel = DOCUMENT["channels"][topic.name]
    assert set(channel["messages"]) == {message.__name__ for message in topic.messages}
    for message in topic.messages:
        shown = DOCUMENT["components"]["messages"][message.__name__]
        assert shown["name"] == message_type(message)
        jsonschema.Draft202012Validator.check_schema(at(shown["payload"]["$ref"]))
    for action, services in (("send", topic.writers), ("receive", topic.readers)):
        for service in services:
            operation = DOCUMENT["operations"][f"{service}.{action}.{topic.name}"]
            assert operation["action"] == action
            assert at(operation["channel"]["$ref"]) == channel
