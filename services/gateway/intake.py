"""From the bytes of a request to a message, or to a problem that names every field to blame."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar, get_args, get_origin
from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, ValidationError

from contracts.base import OpenEnum, unknown_values
from services.chassis.http import Problem

Body = TypeVar("Body", bound=BaseModel)

ERRORS_MAX = 100
IDEMPOTENCY_KEY_LENGTH_MAX = 255
NOT_KNOWN = "is not a known value"
VALUE_ERROR = "Value error, "


async def body(request: Request, model: type[Body]) -> Body:
    """The request's body as `model`. Raises Problem 413, 415 or 422."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if media_type.lower() != "application/json" and not media_type.lower().endswith("+json"):
        raise Problem(415, f"send application/json, not {media_type[:100]!r}")
    return read(await request.body(), model)


def read(raw: bytes, model: type[Body]) -> Body:
    """Raises Problem 422 with every wrong field, also where an enum value is not known."""
    try:
        message = model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        found = list(_faults(error, model))
        found += [(field, NOT_KNOWN) for field in _unknown_in_json(raw, model)]
        raise invalid(found) from None
    unknown = [(field, NOT_KNOWN) for field in unknown_values(message)]
    if unknown:
        raise invalid(unknown)
    return message


def invalid(errors: list[tuple[str, str]]) -> Problem:
    unique = list(dict.fromkeys(errors))[:ERRORS_MAX]
    return Problem(422, "the request is not valid: see errors", unique)


def _faults(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    inner = {fault["loc"][:depth] for fault in faults for depth in range(len(fault["loc"]))}
    for fault in faults:
        if fault["type"] == "too_short" and fault["loc"] in inner:
            continue  # the list is only short of the items that are wrong
        message = fault["msg"].removeprefix(VALUE_ERROR)
        field = ".".join(str(step) for step in fault["loc"])
        yield field or _named_in(message, model), message


def _named_in(message: str, model: type[BaseModel]) -> str:
    """A rule over several fields ("order_id or claim is required") blames the first it names."""
    first = message.partition(" ")[0]
    return first if first.partition(".")[0] in model.model_fields else "body"


def _unknown_in_json(raw: bytes, model: type[BaseModel]) -> Iterator[str]:
    """Paths of unknown enum values in a body that is wrong elsewhere too."""
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        return
    yield from _unknown(parsed, model, "")


def _unknown(value: Any, annotation: Any, path: str) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, OpenEnum):
        if isinstance(value, str) and annotation(value) == "unknown":
            yield path
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if isinstance(value, dict):
            for name, field in annotation.model_fields.items():
                step = f"{path}.{field.alias or name}".lstrip(".")
                yield from _unknown(value.get(field.alias or name), field.annotation, step)
    elif get_origin(annotation) is Annotated:
        yield from _unknown(value, get_args(annotation)[0], path)
    elif get_origin(annotation) is tuple:
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _unknown(item, get_args(annotation)[0], f"{path}.{index}")
    else:
        for part in get_args(annotation):
            yield from _unknown(value, part, path)


def return_id(text: str) -> str:
    """A path's return id as it is stored. Raises Problem 404: what is no UUID names no return."""
    try:
        return str(UUID(text))
    except ValueError:
        raise unknown_return(text) from None


def unknown_return(text: str) -> Problem:
    return Problem(404, f"there is no return {text[:100]!r}")


def idempotency_key(request: Request) -> str | None:
    """Raises Problem 422 when the header cannot be a key."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not key.strip() or len(key) > IDEMPOTENCY_KEY_LENGTH_MAX or not key.isprintable():
        message = f"is 1 to {IDEMPOTENCY_KEY_LENGTH_MAX} printable characters"
        raise invalid([("Idempotency-Key", message)])
    return key
