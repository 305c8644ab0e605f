"""`python -m contracts.schemas [--check]`: the JSON Schema of every message, generated and kept.

The kept files are what others have been promised. They are not overwritten by a change that would
break a program that was written against them, and `--check` fails on one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.base import Message
from contracts.compatibility import breaks
from contracts.topics import MESSAGES, TOPICS

FOLDER = Path(__file__).parent / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
OPEN = frozenset(message.__name__ for topic in TOPICS if topic.open for message in topic.messages)
"""What programs outside may write themselves. All other messages they only read."""


def schema_of(message: type[Message]) -> dict[str, Any]:
    """What a reader accepts, as JSON Schema 2020-12."""
    schema = message.model_json_schema(mode="validation", by_alias=True)
    return {"$schema": DIALECT, "$id": f"{message.__name__}.json", **schema}


def text_of(message: type[Message]) -> str:
    """The file's content."""
    return json.dumps(schema_of(message), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def kept(name: str) -> dict[str, Any] | None:
    """The schema that was promised, if there is one."""
    file = FOLDER / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def incompatible() -> Iterator[str]:
    """Every change that breaks others, one sentence each."""
    for file in sorted(FOLDER.glob("*.json")):
        if file.stem not in MESSAGES:
            yield f"{file.stem}: the message was taken away"
    for name, message in sorted(MESSAGES.items()):
        if (promised := kept(name)) is not None:
            found = breaks(promised, schema_of(message), others_write=name in OPEN)
            yield from (f"{name}: {each}" for each in found)


def drifted() -> Iterator[str]:
    """Every message whose kept file is not what its model says."""
    for name, message in sorted(MESSAGES.items()):
        file = FOLDER / f"{name}.json"
        if not file.exists() or file.read_text() != text_of(message):
            yield f"{name}: the schema differs from the model: run `make schemas`"


def write() -> None:
    """Generate every file. Raises SystemExit, writing nothing, where that would break others."""
    if broken := list(incompatible()):
        sys.exit("\n".join(broken))
    FOLDER.mkdir(exist_ok=True)
    for name, message in MESSAGES.items():
        (FOLDER / f"{name}.json").write_text(text_of(message))


def main() -> None:
    if "--check" not in sys.argv[1:]:
        write()
    elif wrong := [*incompatible(), *drifted()]:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
