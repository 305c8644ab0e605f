"""What every message shares: lenient reading, strict writing, and the field types of the wire.

Reading: unknown fields are ignored and unknown enum values become ``unknown``.
Writing (:func:`write`): only what the models allow can be built, so only that is written. What
was read as ``unknown`` is passed on as ``unknown``: nothing a customer said is lost over it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

MINOR_UNITS_MAX = 10**15
QUANTITY_MAX = 1_000_000
IDENTIFIER_LENGTH_MAX = 200
TEXT_LENGTH_MAX = 10_000
URL_LENGTH_MAX = 2_000
BPS_MAX = 10_000
RATIO_DECIMALS = 4
RFC_3339 = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


_set = object.__setattr__


class OpenEnum(StrEnum):
    """An enum that a newer writer may extend: a value this reader does not know is ``unknown``."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        return cls("unknown") if isinstance(value, str) and value != "unknown" else None


class Part(BaseModel):
    """A piece of a message."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        serialize_by_alias=True,
        allow_inf_nan=False,
    )

    @classmethod
    def of_checked(cls, **values: object) -> Self:
        """As the constructor makes it, in a tenth of the time, where each value is known to be
        what its field allows: nothing is checked, nothing converted.

        Every field must be named, in the order of the class: it is written in this order.
        """
        made = cls.__new__(cls)
        _set(made, "__dict__", values)
        _set(made, "__pydantic_fields_set__", set(values))
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made


class Message(Part):
    """A message: it travels alone, under its class's name."""


def _instant_text(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and RFC_3339.fullmatch(value)):
        return value
    raise ValueError("a time is an RFC 3339 string with an offset, such as Z or +01:00")


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError("a time needs an offset, such as Z or +01:00")
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is out of range") from error


def _storable(value: str) -> str:
    if "\x00" in value:
        raise ValueError("text cannot contain the character U+0000")
    return value


def _writable(value: Any) -> Any:
    """A free value that every store and every JSON reader takes: finite numbers, no U+0000."""
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number must be finite")
    if isinstance(value, dict):
        return {_storable(str(name)): _writable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_writable(inner) for inner in value]
    return value


def _ratio(value: float) -> float:
    return round(value, RATIO_DECIMALS) + 0.0  # adding zero turns -0.0 into 0.0


CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _uuid_text(value: str) -> str:
    # Nearly all ids are in this form already: checked on every message, so checked cheaply.
    if CANONICAL_UUID.fullmatch(value):
        return value
    try:
        return str(UUID(value))
    except ValueError as error:
        raise ValueError("is not a UUID") from error


Instant = Annotated[datetime, BeforeValidator(_instant_text), AfterValidator(_utc)]
Text = Annotated[str, Field(max_length=TEXT_LENGTH_MAX), AfterValidator(_storable)]
Identifier = Annotated[
    str, Field(min_length=1, max_length=IDENTIFIER_LENGTH_MAX), AfterValidator(_storable)
]
ReturnId = Annotated[str, Field(json_schema_extra={"format": "uuid"}), AfterValidator(_uuid_text)]
Url = Annotated[str, Field(min_length=1, max_length=URL_LENGTH_MAX), AfterValidator(_storable)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MinorUnits = Annotated[int, Field(strict=True, ge=0, le=MINOR_UNITS_MAX)]
SignedMinorUnits = Annotated[int, Field(strict=True, ge=-MINOR_UNITS_MAX, le=MINOR_UNITS_MAX)]
Points = Annotated[int, Field(strict=True, ge=0, le=MINOR_UNITS_MAX)]
SignedPoints = Annotated[int, Field(strict=True, ge=-MINOR_UNITS_MAX, le=MINOR_UNITS_MAX)]
Count = Annotated[int, Field(strict=True, ge=0, le=QUANTITY_MAX)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=QUANTITY_MAX)]
Ordinal = Annotated[int, Field(strict=True, ge=1, le=QUANTITY_MAX)]
Version = Annotated[int, Field(strict=True, ge=0, le=2**53)]
Bps = Annotated[int, Field(strict=True, ge=0, le=BPS_MAX)]
Ratio = Annotated[float, Field(strict=True, ge=0, le=1), AfterValidator(_ratio)]
Free = Annotated[Any, AfterValidator(_writable)]
FreeObject = Annotated[dict[str, Any], AfterValidator(_writable)]
Flag = Annotated[bool, Field(strict=True)]


def unknown_values(part: BaseModel, path: str = "") -> Iterator[str]:
    """The dotted paths of all fields whose enum value this reader did not know."""
    for name, field in type(part).model_fields.items():
        yield from _unknown_in(getattr(part, name), f"{path}{field.alias or name}")


def _unknown_in(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, Enum):
        if value.value == "unknown":
            yield path
    elif isinstance(value, BaseModel):
        yield from unknown_values(value, f"{path}.")
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _unknown_in(item, f"{path}.{index}")


def write(message: BaseModel) -> bytes:
    """The message as JSON bytes, absent fields left out."""
    return message.model_dump_json(exclude_none=True).encode()
