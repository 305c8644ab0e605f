"""A schema may grow. Whatever would break somebody's program is found and named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts import schemas
from contracts.compatibility import breaks
from contracts.topics import MESSAGES

Schema = dict[str, Any]
BASE: Schema = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "maxLength": 10},
        "count": {"type": "integer", "minimum": 0, "default": 0},
        "kind": {"$ref": "#/$defs/Kind"},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "parts": {"type": "array", "items": {"$ref": "#/$defs/Part"}},
        "free": {"type": "object", "additionalProperties": True},
    },
    "required": ["text", "parts"],
    "$defs": {
        "Kind": {"type": "string", "enum": ["x", "y"]},
        "Part": {
            "type": "object",
            "properties": {"amount": {"type": "integer"}},
            "required": ["amount"],
        },
    },
}


def changed(change: Callable[[Schema], Any]) -> Schema:
    new = copy.deepcopy(BASE)
    change(new)
    return new


def field(name: str, **keywords: Any) -> Callable[[Schema], Any]:
    return lambda schema: schema["properties"][name].update(keywords)


def part(**keywords: Any) -> Callable[[Schema], Any]:
    return lambda schema: schema["$defs"]["Part"].update(keywords)


def renamed(schema: Schema) -> None:
    schema["properties"]["body"] = schema["properties"].pop("text")


BREAKS_EVERYBODY: dict[str, tuple[Callable[[Schema], Any], str]] = {
    "removed": (lambda s: s["properties"].pop("count"), "count: the field was taken away"),
    "renamed": (renamed, "text: the field was taken away"),
    "retyped": (field("count", type="string"), "count: the type was integer and is string"),
    "inner removed": (part(properties={}, required=[]), "parts[].amount: the field was taken"),
    "inner retyped": (part(properties={"amount": {"type": "number"}}), "parts[].amount: the type"),
    "required": (lambda s: s["required"].append("count"), "count: became required"),
    "new and required": (
        lambda s: (s["properties"].update(new={"type": "string"}), s["required"].append("new")),
        "new: became required",
    ),
    "shorter": (field("text", maxLength=5), "text: maxLength became tighter"),
    "bounded": (field("text", minLength=1), "text: minLength became tighter"),
    "greater": (field("count", minimum=1), "count: minimum became tighter"),
    "patterned": (field("text", pattern="^a"), "text: pattern became tighter"),
    "formatted": (field("text", format="uuid"), "text: format became tighter"),
    "no null": (lambda s: s["properties"].update(maybe={"type": "string"}), "maybe: "),
    "enum shrank": (lambda s: s["$defs"]["Kind"].update(enum=["x"]), "kind: enum values were"),
    "enum appeared": (field("text", enum=["a"]), "text: enum values were taken away"),
    "default": (field("count", default=1), "count: the default changed"),
    "closed": (lambda s: s.update(additionalProperties=False), "the message: unknown fields"),
}
BREAKS_READERS: dict[str, tuple[Callable[[Schema], Any], str]] = {
    "optional": (lambda s: s["required"].remove("text"), "text: may be left out now"),
    "nullable": (
        lambda s: s["properties"].update(
            text={"anyOf": [{"type": "string", "maxLength": 10}, {"type": "null"}]}
        ),
        "text: the type was string and is null",
    ),
    "longer": (field("text", maxLength=20), "text: maxLength allows more"),
    "inner optional": (part(required=[]), "parts[].amount: may be left out now"),
}
ALLOWED: dict[str, Callable[[Schema], Any]] = {
    "nothing": lambda s: None,
    "a field": lambda s: s["properties"].update(new={"type": "string"}),
    "an inner field": lambda s: s["$defs"]["Part"]["properties"].update(new={"type": "string"}),
    "an enum value": lambda s: s["$defs"]["Kind"]["enum"].append("z"),
    "words": field("text", description="what it says"),
}


@pytest.mark.parametrize("case", BREAKS_EVERYBODY)
@pytest.mark.parametrize("others_write", [True, False])
def test_a_change_that_breaks_others_is_named(case: str, others_write: bool) -> None:
    change, sentence = BREAKS_EVERYBODY[case]
    found = breaks(BASE, changed(change), others_write=others_write)
    assert any(each.startswith(sentence) for each in found), found


@pytest.mark.parametrize("case", BREAKS_READERS)
def test_a_writer_of_ours_may_not_promise_less(case: str) -> None:
    change, sentence = BREAKS_READERS[case]
    found = breaks(BASE, changed(change), others_write=False)
    assert any(each.startswith(sentence) for each in found), found
    assert breaks(BASE, changed(change), others_write=True) == []


@pytest.mark.parametrize("case", ALLOWED)
@pytest.mark.parametrize("others_write", [True, False])
def test_a_change_that_only_adds_is_allowed(case: str, others_write: bool) -> None:
    assert breaks(BASE, changed(ALLOWED[case]), others_write=others_write) == []


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_every_field_of_every_message_is_under_the_check(name: str) -> None:
    promised = schemas.schema_of(MESSAGES[name])
    for taken in promised["properties"]:
        new = copy.deepcopy(promised)
        del new["properties"][taken]
        assert breaks(promised, new, others_write=True) == [f"{taken}: the field was taken away"]


def test_an_incompatible_model_is_not_written_over_what_was_promised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "FOLDER", tmp_path)
    schemas.write()
    promised = json.loads((tmp_path / "ReviewDecided.json").read_text())
    promised["properties"]["verdict"] = {"type": "string"}
    before = json.dumps(promised)
    (tmp_path / "ReviewDecided.json").write_text(before)
    (tmp_path / "Forgotten.json").write_text("{}")
    with pytest.raises(SystemExit) as refused:
        schemas.write()
    assert str(refused.value).splitlines() == [
        "Forgotten: the message was taken away",
        "ReviewDecided: verdict: the field was taken away",
    ]
    assert (tmp_path / "ReviewDecided.json").read_text() == before
    assert list(schemas.drifted()) == [
        "ReviewDecided: the schema differs from the model: run `make schemas`"
    ]
