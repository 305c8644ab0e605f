"""Reads a policy, from YAML text or from an object: valid and above the law, or refused.

Each problem says what is wrong and how to mend it, and where: the line of a file, the path in an
object. Raises PolicyRefused with all problems at once.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NoReturn

import yaml
from pydantic import ValidationError

from services.commerce.policy import floor
from services.commerce.policy.model import (
    DuplicateRule,
    EscalationContact,
    Goodwill,
    Limits,
    Match,
    Policy,
    Retention,
    ReturnAddress,
    Rule,
    SetSettings,
    Settings,
    Strict,
    Texts,
)

FILE_BYTES_MAX = 1 << 20
NODES_MAX = 50_000
PROBLEMS_MAX = 50
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at a place, and how to mend it. `line` is 1-based; 0: not of a file."""

    path: Path
    message: str
    line: int = 0

    @property
    def field(self) -> str:
        return ".".join(str(part) for part in self.path)


class PolicyRefused(Exception):
    """This policy is not used: it is not valid, or it falls short of the law."""

    def __init__(self, problems: tuple[Problem, ...], name: str = "") -> None:
        self.problems = problems
        self.name = name
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """`file:line: what is wrong and how to mend it`, one per problem."""
        return [
            f"{self.name}:{each.line}: {each.message}"
            if each.line
            else f"{each.field}: {each.message}".removeprefix(": ")
            for each in self.problems
        ]


def from_object(value: object) -> Policy:
    """A policy out of plain data (an inline policy). Raises PolicyRefused with paths."""
    problems: list[Problem] = []
    policy = _validated(value, problems)
    if policy is None:
        raise PolicyRefused(tuple(problems))
    short = tuple(
        Problem(("rules", each.position), each.message) for each in floor.shortfalls(policy)
    )
    if short:
        raise PolicyRefused(short)
    return policy


def from_text(text: str, name: str) -> Policy:
    """A policy out of a YAML file's text. Raises PolicyRefused with lines."""
    root = _composed(text, name)
    try:
        return from_object(_constructed(root))
    except PolicyRefused as refused:
        placed = sorted(
            (
                Problem(each.path, each.message, each.line or _line_of(root, each.path))
                for each in refused.problems
            ),
            key=lambda each: each.line,
        )
        raise PolicyRefused(tuple(placed), name) from None


def line_of(text: str, name: str, path: Path) -> int:
    """The line of a valid file on which something stands: for the linter."""
    return _line_of(_composed(text, name), path)


def _validated(value: object, problems: list[Problem]) -> Policy | None:
    if not isinstance(value, dict):
        problems.append(
            Problem((), "a policy is a mapping of keys: begin with `policy:` and `version:`")
        )
        return None
    try:
        return Policy.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False)[:PROBLEMS_MAX]
        problems.extend(_problem(each) for each in details)
        return None


def _problem(error: Mapping[str, Any]) -> Problem:
    path = tuple(part for part in error["loc"] if part != "[key]")
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, DuplicateRule):
        return Problem((*path, cause.position, "id"), f"`id`: {cause}")
    return Problem(path, _mended(error, path))


_MENDED = {
    "bool_type": "write true or false",
    "int_type": "write a whole number",
    "float_type": "write a number between 0 and 1",
    "string_type": "write a text; put it in quotes if it looks like a number or a date",
    "tuple_type": "write a list, such as [a, b]",
    "dict_type": "write a mapping, such as {USD: 500}",
    "model_type": "write a mapping of keys, or remove the key",
    "model_attributes_type": "write a mapping of keys, or remove the key",
    "string_too_short": "write a text that is not empty",
}


def _mended(error: Mapping[str, Any], path: Path) -> str:
    kind, given = error["type"], error["input"]
    given = str(given) if isinstance(given, date) else given
    # A value of a list is named by the key of its list, not by its place in it.
    name = next((part for part in reversed(path) if isinstance(part, str)), "policy")
    context = error.get("ctx", {})
    if kind == "missing":
        return f"`{name}` is missing: add `{name}: …`"
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "enum":
        return f"`{name}`: {given!r} is not allowed; use one of {context.get('expected')}"
    if kind == "greater_than_equal":
        return f"`{name}`: {given!r} is too low; write {context.get('ge')} or more"
    if kind == "less_than_equal":
        return f"`{name}`: {given!r} is too high; write {context.get('le')} or less"
    if kind == "value_error":
        said = error["msg"].removeprefix("Value error, ")
        return f"`{name}`: {given!r}: {said}" if repr(given) not in said else f"`{name}`: {said}"
    if kind in _MENDED:
        return f"`{name}`: {given!r} has the wrong type; {_MENDED[kind]}"
    return f"`{name}`: {error['msg'][:1].lower()}{error['msg'][1:]}"


_MODELS: dict[Path, type[Strict] | type[ReturnAddress]] = {
    (): Policy,
    ("defaults",): Settings,
    ("rules",): Rule,
    ("rules", "when"): Match,
    ("rules", "unless"): Match,
    ("rules", "set"): SetSettings,
    ("limits",): Limits,
    ("limits", "goodwill"): Goodwill,
    ("retention",): Retention,
    ("escalation",): EscalationContact,
    ("texts",): Texts,
}


def _unknown_key(path: Path) -> str:
    name = str(path[-1])
    parent = tuple(part for part in path[:-1] if isinstance(part, str))
    model = _MODELS.get(parent, ReturnAddress)
    known = list(model.model_fields)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"unknown key `{name}`: did you mean `{close[0]}`?"
    return f"unknown key `{name}`: remove it, or use one of {', '.join(known)}"


class _Reader(yaml.SafeLoader):
    """YAML without its traps: `NO` is Norway, and only true and false are booleans."""


_Reader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Reader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), ["t", "f"])


def _composed(text: str, name: str) -> yaml.Node:
    if len(text.encode()) > FILE_BYTES_MAX:
        _refuse(name, 1, f"the file is larger than {FILE_BYTES_MAX} bytes; split the policy")
    try:
        root = yaml.compose(text, Loader=_Reader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or error.context or "cannot be read"
        _refuse(name, mark.line + 1 if mark else 1, f"this is not YAML: {said}; mend the line")
    except yaml.YAMLError as error:
        _refuse(name, 1, f"this is not YAML: {error}")
    except RecursionError:
        _refuse(name, 1, "the file is nested too deeply; flatten it")
    if root is None:
        _refuse(name, 1, "the file is empty; begin with `policy:` and `version:`")
    _check_nodes(root, name)
    return root


def _check_nodes(root: yaml.Node, name: str) -> None:
    """Refuses a key that is given twice, and aliases that unfold without end."""
    seen = 0
    for node in _walk(root):
        seen += 1
        if seen > NODES_MAX:
            _refuse(name, 1, "the file unfolds without end; write aliases (&, *) out")
        if not isinstance(node, yaml.MappingNode):
            continue
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                _refuse(name, key.start_mark.line + 1, "a key is a single word")
            if key.value in keys:
                _refuse(
                    name,
                    key.start_mark.line + 1,
                    f"the key `{key.value}` is given twice; keep one of them",
                )
            keys.add(key.value)


def _walk(root: yaml.Node) -> Iterator[yaml.Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting.extend(part for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)


def _constructed(root: yaml.Node) -> object:
    reader = _Reader("")
    try:
        return reader.construct_document(root)
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None) or _no_value(root).start_mark
        said = getattr(error, "problem", None) or str(error)
        said = f"cannot be read: {said}; write a plain value, in quotes if it is a text"
        raise PolicyRefused((Problem((), said, mark.line + 1),)) from error
    finally:
        reader.dispose()


def _no_value(root: yaml.Node) -> yaml.Node:
    """The first part that says no value, such as the 99th of a month; `root` if each does."""
    for node in _walk(root):
        if isinstance(node, yaml.ScalarNode):
            try:
                _Reader("").construct_document(node)
            except ValueError:
                return node
    return root


def _line_of(root: yaml.Node, path: Path) -> int:
    """The line of the deepest part of `path` that the file has."""
    node, line = root, root.start_mark.line
    for part in path:
        found = _child(node, part)
        if found is None:
            break
        node, line = found
    return line + 1


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return value, key.start_mark.line
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line
    return None


def _refuse(name: str, line: int, message: str) -> NoReturn:
    raise PolicyRefused((Problem((), message, line),), name)
