"""Asking something of a known return: complete the message, judge it, publish it."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from contracts.base import Message
from services.chassis.http import Problem, field_errors
from services.gateway import allowed, bodies, intake
from services.gateway import gateway as door
from services.gateway.model import View

Asked = TypeVar("Asked", bound=Message)


def completed(view: View, body: BaseModel, message: type[Asked], **left_out: Any) -> Asked:
    """The message about `view`'s return. Raises Problem 422 for another return's id."""
    try:
        made = bodies.completed(body, message, return_id=view.return_id, **left_out)
    except ValidationError as error:
        raise intake.invalid(field_errors(error)) from None
    if getattr(made, "return_id", None) != view.return_id:
        raise intake.invalid([("return_id", "is not the return that the path names")])
    return made.model_copy(update={"order_id": view.order_id})


async def ask(request: Request, caller: str, message: Any, *, refusal: str | None) -> None:
    """Publish the message, keyed by its order. Raises Problem 409 when `refusal` says why not."""
    if refusal is not None:
        raise Problem(409, refusal)
    gateway = door.of(request)
    ce_id = door.event_id(request, caller, type(message), message.return_id)
    key = message.order_id or message.return_id
    await gateway.store.publish([gateway.row(request, message, key=key, ce_id=ce_id)])


def answer(request: Request, view: View) -> Response:
    """202: where the return stands now, and where to look."""
    return accepted(request, view.return_id, allowed.status(view))


def accepted(request: Request, return_id: str, status: str) -> Response:
    url = f"{str(request.base_url).rstrip('/')}/returns/{return_id}"
    return JSONResponse(
        {"return_id": return_id, "status": status, "status_url": url},
        status_code=202,
        headers={"Location": url},
    )
