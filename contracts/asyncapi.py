"""`python -m contracts.asyncapi [--check]`: the AsyncAPI 3.0 document, from the table of topics."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from contracts.envelope import CONTENT_TYPE, message_type
from contracts.schemas import schema_of
from contracts.topics import TOPICS, Topic

FILE = Path(__file__).parent / "asyncapi.json"
HEADERS: dict[str, Any] = {
    "type": "object",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "description": "the deduplication key"},
        "ce_source": {"type": "string"},
        "ce_type": {"type": "string"},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_subject": {"type": "string", "description": "return id, or order id on orders"},
        "ce_correlationid": {"type": "string", "description": "return id"},
        "ce_causationid": {"type": "string", "description": "ce_id of the cause"},
        "content-type": {"const": CONTENT_TYPE},
        "traceparent": {"type": "string"},
    },
}


def document() -> dict[str, Any]:
    """The whole bus: every topic, who sends and who receives, every message."""
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for topic in TOPICS:
        for message in topic.messages:
            name = message.__name__
            schema = _inlined(schema_of(message), schemas)
            schemas[name] = schema
            messages[name] = {
                "name": message_type(message),
                "title": name,
                "summary": (message.__doc__ or "").strip().split("\n")[0],
                "contentType": CONTENT_TYPE,
                "headers": {"$ref": "#/components/schemas/CloudEventHeaders"},
                "payload": {"$ref": f"#/components/schemas/{name}"},
            }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Returns and refunds",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in Kafka binary mode; the record key is the order id,"
            " or the return id where no order is known.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": _operations(),
        "components": {
            "messages": messages,
            "schemas": {"CloudEventHeaders": HEADERS, **schemas},
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    kept = "compacted" if topic.retention is None else f"kept {topic.retention.days} days"
    return {
        "address": topic.name,
        "description": f"{kept}; {topic.partitions} partitions",
        "messages": {
            message.__name__: {"$ref": f"#/components/messages/{message.__name__}"}
            for message in topic.messages
        },
        "bindings": {"kafka": {"partitions": topic.partitions, "bindingVersion": "0.5.0"}},
    }


def _operations() -> dict[str, Any]:
    made = {}
    for topic in TOPICS:
        for action, services in (("send", topic.writers), ("receive", topic.readers)):
            for service in services:
                made[f"{service}.{action}.{topic.name}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{topic.name}"},
                    "summary": f"{service} {action}s on {topic.name}",
                }
    return made


def _inlined(schema: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """The schema with its definitions moved to the document's components."""
    text = json.dumps(schema).replace("#/$defs/", "#/components/schemas/")
    moved: dict[str, Any] = json.loads(text)
    shared.update(moved.pop("$defs", {}))
    moved.pop("$id", None)
    moved.pop("$schema", None)
    return moved


def text() -> str:
    return json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text())
    elif not FILE.exists() or FILE.read_text() != text():
        sys.exit("contracts/asyncapi.json differs from the models: run `make schemas`")


if __name__ == "__main__":
    main()
