"""Which changes of a JSON Schema break programs that were written against the old one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

TIGHTER: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": lambda before, after: after > before,
    "maximum": lambda before, after: after < before,
    "exclusiveMinimum": lambda before, after: after > before,
    "exclusiveMaximum": lambda before, after: after < before,
    "minLength": lambda before, after: after > before,
    "maxLength": lambda before, after: after < before,
    "minItems": lambda before, after: after > before,
    "maxItems": lambda before, after: after < before,
    "pattern": lambda before, after: bool(after != before),
    "format": lambda before, after: bool(after != before),
    "const": lambda before, after: bool(after != before),
    "multipleOf": lambda before, after: bool(after != before),
}
"""Keyword -> whether the second value allows less than the first. One that is new allows less."""


def breaks(old: Schema, new: Schema, *, others_write: bool) -> list[str]:
    """Every break, as a sentence that begins with the dotted field; empty if there is none.

    What was valid has to stay valid, and a default has to stay what it was. Of a message that
    others only read, what is new has to be valid for the old schema too (a field that was always
    there is not left out, one that was never null is not null now), apart from added fields and
    enum values, which readers are to expect.
    """
    found = _Comparison(old, new).narrower(old, new, "")
    if not others_write:
        found += _Comparison(new, old, backwards=True).narrower(new, old, "")
    return found


class _Comparison:
    """Where `after` refuses what `before` accepts.

    `backwards`: `after` is the old schema, so the sentences and what is forgiven are turned round.
    """

    def __init__(self, before: Schema, after: Schema, *, backwards: bool = False) -> None:
        self._definitions = before.get("$defs", {}), after.get("$defs", {})
        self._backwards = backwards

    def narrower(self, before: Schema, after: Schema, path: str) -> list[str]:
        before, after = self._resolved(before, 0), self._resolved(after, 1)
        if "anyOf" in before or "anyOf" in after:
            return self._choices(before, after, path)
        if before.get("type") != after.get("type"):
            return [self._sentence(path, "the type was {} and is {}", before, after, "type")]
        found = self._values(before, after, path) + self._bounds(before, after, path)
        found += self._fields(before, after, path)
        for inner in ("items", "additionalProperties"):
            if isinstance(before.get(inner), dict) and isinstance(after.get(inner), dict):
                found += self.narrower(before[inner], after[inner], f"{path}[]")
        return found

    def _choices(self, before: Schema, after: Schema, path: str) -> list[str]:
        """Each choice there was must fit one there is; the closest one tells what is missing."""
        found = []
        for choice in before.get("anyOf", [before]):
            tried = [self.narrower(choice, each, path) for each in after.get("anyOf", [after])]
            if all(tried):
                closest: list[str] = min(tried, key=len)
                found += closest
        return found

    def _values(self, before: Schema, after: Schema, path: str) -> list[str]:
        if self._backwards or "enum" not in after:
            return []
        if "enum" in before and set(before["enum"]) <= set(after["enum"]):
            return []
        return [f"{_named(path)}: enum values were taken away"]

    def _bounds(self, before: Schema, after: Schema, path: str) -> list[str]:
        how = "allows more than readers expect" if self._backwards else "became tighter"
        return [
            f"{_named(path)}: {keyword} {how}"
            for keyword, tighter in TIGHTER.items()
            if keyword in after
            and (keyword not in before or tighter(before[keyword], after[keyword]))
        ] + self._closed(before, after, path)

    def _closed(self, before: Schema, after: Schema, path: str) -> list[str]:
        if self._backwards or after.get("additionalProperties") is not False:
            return []
        if before.get("additionalProperties") is False:
            return []
        return [f"{_named(path)}: unknown fields are refused now"]

    def _fields(self, before: Schema, after: Schema, path: str) -> list[str]:
        found = []
        befores, afters = before.get("properties", {}), after.get("properties", {})
        for name, field in befores.items():
            inner = f"{path}.{name}" if path else name
            if name in afters:
                found += self.narrower(field, afters[name], inner)
                if not self._backwards and field.get("default") != afters[name].get("default"):
                    found.append(f"{inner}: the default changed")
            elif not self._backwards:
                found.append(f"{inner}: the field was taken away")
        how = "may be left out now" if self._backwards else "became required"
        for name in sorted(set(after.get("required", ())) - set(before.get("required", ()))):
            if not self._backwards or name in befores:
                found.append(f"{path}.{name}".lstrip(".") + f": {how}")
        return found

    def _resolved(self, part: Schema, side: int) -> Schema:
        while "$ref" in part:
            part = self._definitions[side][part["$ref"].rsplit("/", 1)[1]]
        return part

    def _sentence(self, path: str, text: str, before: Schema, after: Schema, of: str) -> str:
        old, new = (after, before) if self._backwards else (before, after)
        return f"{_named(path)}: {text.format(old.get(of), new.get(of))}"


def _named(path: str) -> str:
    return path or "the message"
