"""`returns decide FILE`: documents in, decisions out. Starts nothing, reads no clock, no store."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from pydantic import Field, ValidationError

from contracts.assessments import RefundabilityAssessed, ReturnabilityAssessed
from contracts.base import Instant, Part, write
from contracts.decisions import ReturnDecisionMade
from contracts.fulfillment import ReturnInspected
from contracts.orders import OrderSnapshot
from contracts.requests import ReturnRequest
from services.commerce import judgement
from services.commerce.policy import loader, source
from services.commerce.policy.loader import PolicyRefused
from services.commerce.policy.model import Policy
from services.commerce.policy.versions import BUILT_IN_VERSIONS, Versions

OK, FAILED, WRONG_USE = 0, 1, 2
CHUNK_CHARACTERS = 1 << 20
POLICIES_REMEMBERED_MAX = 64
_BETWEEN = re.compile(r"[ \t\r\n,]*")
Json = dict[str, Any]


class Document(Part):
    """One case, as a file has it; its policy is read apart."""

    now: Instant
    order: OrderSnapshot | None = None
    request: ReturnRequest
    returnability: ReturnabilityAssessed | None = None
    refundability: RefundabilityAssessed | None = None
    history: judgement.History | None = None
    earlier: Annotated[tuple[ReturnDecisionMade, ...], Field(max_length=10_000)] = ()
    inspection: ReturnInspected | None = None


class Unreadable(Exception):
    """A document that cannot be decided: its number from 1, the field, and why."""

    def __init__(self, number: int, field: str, message: str) -> None:
        super().__init__(number, field, message)
        self.number = number
        self.field = field
        self.message = message

    def as_line(self) -> str:
        error = {"document": self.number, "field": self.field, "message": self.message}
        return json.dumps({"error": error})

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        return f"document {self.number}: {field}{self.message}"


class Unparsed(str):
    """A line with a document that nobody has parsed yet: workers do that beside each other."""

    __slots__ = ()

    def parsed(self, number: int) -> object | Unreadable:
        return _parsed(str(self), number)


def opened(file: Path) -> TextIO:
    """A file of documents. What is not UTF-8 spoils the document it stands in, no other."""
    return file.open(encoding="utf-8", errors="surrogateescape")


def documents(stream: TextIO, *, parsed: bool = True) -> Iterator[tuple[int, object | Unreadable]]:
    """The documents of a file, numbered from 1: one, a list, or one per line. Reads in pieces.

    With `parsed=False` those that have a line of their own are `Unparsed`.
    """
    first = ""
    for first in stream:
        if first.strip():
            break
    start = first.lstrip("\ufeff \t\r\n")
    if start.startswith("["):
        yield from _of_list(start, stream)
    elif start:
        yield from _of_lines(start, stream, parsed=parsed)


def _of_list(start: str, stream: TextIO) -> Iterator[tuple[int, object | Unreadable]]:
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    buffer, place, number, ended = start, 1, 0, False
    while True:
        place = _BETWEEN.match(buffer, place).end()  # type: ignore[union-attr]
        if buffer.startswith("]", place):
            return
        try:
            value, end = decoder.raw_decode(buffer, place)
            if end == len(buffer) and not ended:
                raise ValueError("there may be more")
        except (ValueError, RecursionError) as error:
            more = "" if ended else stream.read(CHUNK_CHARACTERS)
            if more:
                buffer, place = buffer[place:] + more, 0
                continue
            if not ended:
                ended = True
                continue
            yield number + 1, Unreadable(number + 1, "", f"is not JSON: {error}")
            return
        number += 1
        text, place = buffer[place:end], end
        yield number, value if _is_text(text) else _not_text(number)


def _of_lines(
    first: str, stream: TextIO, *, parsed: bool
) -> Iterator[tuple[int, object | Unreadable]]:
    """One document per line; if the first line is not one, the whole file may be."""
    number = 0
    if _parsed(first, 1).__class__ is Unreadable:
        rest = stream.read()
        whole = _parsed(first + rest, 1)
        if not isinstance(whole, Unreadable):
            yield 1, whole
            return
        for line in (first + rest).splitlines():
            if line.strip():
                number += 1
                yield number, _parsed(line, number)
        return
    yield 1, _parsed(first, 1)
    number = 1
    for line in stream:
        if line.strip():
            number += 1
            yield number, _parsed(line, number) if parsed else Unparsed(line)


def _parsed(text: str, number: int) -> object | Unreadable:
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return Unreadable(number, "", f"is not JSON: {error}")
    return value if _is_text(text) else _not_text(number)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_text(number: int) -> Unreadable:
    return Unreadable(number, "", "is not UTF-8")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_document(number: int, value: object) -> Document:
    """A document without its policy. Raises Unreadable."""
    if isinstance(value, Unreadable):
        raise value
    if not isinstance(value, dict):
        raise Unreadable(number, "", "a document is a JSON object")
    try:
        return Document.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Unreadable(number, field, first["msg"].removeprefix("Value error, ")) from error
    except RecursionError as error:
        raise Unreadable(number, "", "is nested too deeply") from error


def as_case(document: Document, policy: Policy) -> judgement.Case:
    parts = {name: getattr(document, name) for name in Document.model_fields}
    return judgement.Case(**parts, policy=policy)


def read_case(number: int, value: object, policies: Versions) -> judgement.Case:
    """A document as a case, with its own policy or the one in force. Raises Unreadable."""
    document = read_document(number, value)
    return as_case(document, policy_of(number, value, document, policies))


def policy_of(number: int, value: object, document: Document, policies: Versions) -> Policy:
    """The document's own policy, else the version in force when its order was placed."""
    given = value.get("policy") if isinstance(value, dict) else None
    if given is not None:
        try:
            return _inline(json.dumps(given, sort_keys=True))
        except PolicyRefused as refused:
            problem = refused.problems[0]
            field = ".".join(["policy", problem.field] if problem.field else ["policy"])
            raise Unreadable(number, field, problem.message) from refused
    if document.order is None:
        return policies.latest
    return policies.at(document.order.placed_at)


@lru_cache(maxsize=POLICIES_REMEMBERED_MAX)
def _inline(text: str) -> Policy:
    return loader.from_object(json.loads(text))


def chosen_policies(path: Path | None) -> Versions:
    """The policies of a command line: a file, a folder, or the built-in one."""
    return BUILT_IN_VERSIONS if path is None else source.read_versions(path)


def decide(
    file: Annotated[Path, typer.Argument(help="JSON: one document, a list, or one per line")],
    policy: Annotated[
        Path | None, typer.Option(help="a policy file, where a document has none")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one decision per line")] = False,
) -> None:
    """Decide returns offline: what commerce would decide, and why."""
    try:
        policies = chosen_policies(policy)
    except PolicyRefused as refused:
        for line in refused.lines():
            typer.echo(line, err=True)
        raise typer.Exit(WRONG_USE) from refused
    unreadable = count = 0
    try:
        with opened(file) as stream:
            for number, value in documents(stream):
                count += 1
                unreadable += not _decide_one(number, value, policies, as_json=as_json)
    except OSError as error:
        typer.echo(f"{file} cannot be read: {error.strerror or error}", err=True)
        raise typer.Exit(WRONG_USE) from error
    if not count and not file.read_bytes().strip():
        typer.echo(f"{file} has no document", err=True)
        raise typer.Exit(WRONG_USE)
    if unreadable:
        raise typer.Exit(WRONG_USE)


def _decide_one(number: int, value: object, policies: Versions, *, as_json: bool) -> bool:
    """Prints the decision on a document; False: it could not be read."""
    try:
        case = read_case(number, value, policies)
    except Unreadable as unreadable:
        typer.echo(str(unreadable), err=True)
        if as_json:
            typer.echo(unreadable.as_line())
        return False
    decision = judgement.judge(case)
    if as_json:
        sys.stdout.write(write(decision).decode() + "\n")
    else:
        typer.echo(f"— document {number} —")
        typer.echo(judgement.customer_sentence(decision))
        typer.echo(judgement.reviewer_paragraph(decision) + "\n")
    return True
