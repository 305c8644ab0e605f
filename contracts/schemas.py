"""`python -m contracts.schemas [--check]`: the JSON Schema of every message, generated and kept.

`--check` fails when the files are not what the models say, or when a schema changed in a way that
breaks a reader or a writer of the version that was published.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contracts.base import Message
from contracts.topics import MESSAGES

FOLDER = Path(__file__).parent / "schemas"
PUBLISHED = FOLDER / "published"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def schema_of(message: type[Message]) -> Schema:
    """What a reader accepts, as JSON Schema 2020-12."""
    schema = message.model_json_schema(mode="validation", by_alias=True)
    return {"$schema": DIALECT, "$id": f"{message.__name__}.json", **schema}


def text_of(message: type[Message]) -> str:
    return json.dumps(schema_of(message), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def breaks(old: Schema, new: Schema) -> list[str]:
    """What in `new` breaks programs that were written against `old`, as dotted fields."""
    return _breaks(old, new, old, new, "")


def _resolved(part: Schema, root: Schema) -> Schema:
    while "$ref" in part:
        part = root["$defs"][part["$ref"].rsplit("/", 1)[1]]
    return part


def _breaks(old: Schema, new: Schema, old_root: Schema, new_root: Schema, path: str) -> list[str]:
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    where = path or "the message"
    found = []
    for choice in ("anyOf", "allOf"):
        if choice in old or choice in new:
            befores, afters = old.get(choice, [old]), new.get(choice, [new])
            for before in befores:
                tried = [_breaks(before, after, old_root, new_root, path) for after in afters]
                if all(tried):
                    found += min(tried, key=lambda each: len(list(each)))
            return found
    if old.get("type") != new.get("type"):
        return [f"{where}: the type was {old.get('type')} and is {new.get('type')}"]
    values: list[str] = old.get("enum", [])
    if set(values) - set(new.get("enum", values)):
        found.append(f"{where}: enum values were taken away")
    befores, afters = old.get("properties", {}), new.get("properties", {})
    for name, before in befores.items():
        inner = f"{path}.{name}" if path else name
        if name not in afters:
            found.append(f"{inner}: the field was taken away")
        else:
            found += _breaks(before, afters[name], old_root, new_root, inner)
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        found.append(f"{path}.{name}".lstrip(".") + ": became required")
    if "items" in old and "items" in new:
        found += _breaks(old["items"], new["items"], old_root, new_root, f"{path}[]")
    for bound, worse in _TIGHTER.items():
        if bound in new and (bound not in old or worse(old[bound], new[bound])):
            found.append(f"{where}: {bound} became tighter")
    return found


_TIGHTER: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda before, after: after > before,
    "maximum": lambda before, after: after < before,
    "minLength": lambda before, after: after > before,
    "maxLength": lambda before, after: after < before,
    "minItems": lambda before, after: after > before,
    "maxItems": lambda before, after: after < before,
    "pattern": lambda before, after: after != before,
}


def check() -> list[str]:
    """Everything that is wrong with the kept files, one sentence each."""
    wrong = []
    for name, message in sorted(MESSAGES.items()):
        kept = FOLDER / f"{name}.json"
        if not kept.exists() or kept.read_text() != text_of(message):
            wrong.append(f"{name}: run `make schemas`: the schema differs from the model")
        published = PUBLISHED / f"{name}.json"
        if published.exists():
            broken = breaks(json.loads(published.read_text()), schema_of(message))
            wrong += [f"{name}: incompatible: {each}" for each in broken]
    for published in PUBLISHED.glob("*.json"):
        if published.stem not in MESSAGES:
            wrong.append(f"{published.stem}: a published message was taken away")
    return wrong


def write() -> None:
    """Generate every file; a message that is new becomes published as it is."""
    PUBLISHED.mkdir(parents=True, exist_ok=True)
    for name, message in MESSAGES.items():
        (FOLDER / f"{name}.json").write_text(text_of(message))
        if not (PUBLISHED / f"{name}.json").exists():
            (PUBLISHED / f"{name}.json").write_text(text_of(message))


def main() -> None:
    if "--check" not in sys.argv[1:]:
        write()
        return
    wrong = check()
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
