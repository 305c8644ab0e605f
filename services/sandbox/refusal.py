"""Stripe's error objects: https://docs.stripe.com/api/errors."""

from __future__ import annotations

from services.sandbox.pages import Json

INVALID = "invalid_request_error"


class Refused(Exception):
    """Stripe's error object with its HTTP status."""

    def __init__(
        self, status: int, type_: str, message: str, *, code: str | None = None, param: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: Json = {"type": type_, "message": message}
        if code:
            self.error["code"] = code
            self.error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param:
            self.error["param"] = param

    def body(self) -> Json:
        return {"error": self.error}


def invalid(message: str, code: str | None = None, *, param: str = "") -> Refused:
    """The request cannot be carried out as it is (400)."""
    return Refused(400, INVALID, message, code=code, param=param)


def missing(what: str, id_: str, *, param: str = "id") -> Refused:
    """Nothing has that id (404)."""
    return Refused(404, INVALID, f"No such {what}: '{id_}'", code="resource_missing", param=param)
