"""Stripe's form-encoded parameters, and what they ask of lists and expansions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any
from urllib.parse import parse_qsl

from services.sandbox import stripe_objects
from services.sandbox.pages import Json, Pages
from services.sandbox.refusal import invalid

LIST_LIMIT_DEFAULT = 10
LIST_LIMIT_MAX = 100
DEPTH_MAX = 8
METADATA_KEYS_MAX = 50
METADATA_KEY_LENGTH_MAX = 40
METADATA_VALUE_LENGTH_MAX = 500
SECONDS_MAX = 2**53
INTEGER = re.compile(r"-?[0-9]{1,18}")

EXPANDABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "refund": {
        "charge": ("charge",),
        "payment_intent": ("payment_intent",),
        "balance_transaction": ("balance_transaction",),
        "failure_balance_transaction": ("balance_transaction",),
    },
    "payment_intent": {"latest_charge": ("charge",)},
    "charge": {
        "payment_intent": ("payment_intent",),
        "balance_transaction": ("balance_transaction",),
    },
    "dispute": {"charge": ("charge",), "payment_intent": ("payment_intent",)},
    "balance_transaction": {"source": ("refund", "charge")},
}
"""Kind of object -> field that holds an id -> kinds of object it may be the id of."""

NARROWS: dict[str, Callable[[int], tuple[int, int]]] = {
    "gt": lambda at: (at + 1, SECONDS_MAX),
    "gte": lambda at: (at, SECONDS_MAX),
    "lt": lambda at: (0, at - 1),
    "lte": lambda at: (0, at),
}
"""Stripe's ``created[gte]`` and its kin as the first and the last second."""


def parameters(text: bytes | str) -> Json:
    """Bracketed form fields as nested dictionaries: ``metadata[refund_id]=…``.

    Raises Refused for a field that is nested too deeply, or is a text and an object at once.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    made: Json = {}
    for number, (name, value) in enumerate(parse_qsl(text, keep_blank_values=True)):
        first, *inner = name.replace("]", "").split("[")
        if len(inner) > DEPTH_MAX:
            raise invalid("Invalid object: nested too deeply", param=first)
        place, step = made, first
        for following in inner:
            held = place.setdefault(step, {})
            if not isinstance(held, dict):
                raise invalid(f"Invalid object: {name}", param=first)
            place, step = held, following or str(number)
        place[step] = value
    return made


def only(given: Json, allowed: Collection[str]) -> None:
    """Raises Refused for a parameter that the call doesn't have."""
    for name in given:
        if name not in allowed:
            raise invalid(f"Received unknown parameter: {name}", "parameter_unknown", param=name)


def integer(given: Json, name: str) -> int | None:
    """Raises Refused when it is no integer."""
    text = given.get(name)
    if text is None:
        return None
    if not isinstance(text, str) or not INTEGER.fullmatch(text):
        raise invalid(f"Invalid integer: {text}", "parameter_invalid_integer", param=name)
    return int(text)


def required(given: Json, name: str) -> str:
    """Raises Refused when it is not there."""
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"Missing required param: {name}.", "parameter_missing", param=name)
    return value


def metadata(given: Json) -> Json:
    """What the caller wants kept with an object. Raises Refused over Stripe's limits."""
    found = given.get("metadata") or {}
    if not isinstance(found, dict):
        raise invalid("Invalid hash", param="metadata")
    if len(found) > METADATA_KEYS_MAX:
        raise invalid(f"Metadata has at most {METADATA_KEYS_MAX} keys.", param="metadata")
    for name, value in found.items():
        field = f"metadata[{name}]"
        if not isinstance(value, str):
            raise invalid("Metadata values must be strings.", param=field)
        if len(name) > METADATA_KEY_LENGTH_MAX or len(value) > METADATA_VALUE_LENGTH_MAX:
            raise invalid(
                f"Metadata keys have at most {METADATA_KEY_LENGTH_MAX} characters, values"
                f" {METADATA_VALUE_LENGTH_MAX}.",
                param=field,
            )
    return found


def digest(path: str, given: Json) -> str:
    """Equal for equal requests, whatever the order of their fields."""
    return hashlib.sha256(repr((path, sorted(_flat(given)))).encode()).hexdigest()


def _flat(given: Json, path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def listed(pages: Pages, kind: str, url: str, given: Json) -> Json:
    """A page of Stripe's list of a kind of object, newest first. Raises Refused."""
    limit = integer(given, "limit")
    if limit is None:
        limit = LIST_LIMIT_DEFAULT
    if not 1 <= limit <= LIST_LIMIT_MAX:
        raise invalid(
            f"Limit must be between 1 and {LIST_LIMIT_MAX}.",
            "parameter_invalid_integer",
            param="limit",
        )
    earliest, latest = _created(given.get("created"))
    where: Json = {
        "kind": kind,
        "parent": _parent(pages, given),
        "earliest": earliest,
        "latest": latest,
        "limit": limit + 1,
    }
    if "ending_before" in given:
        found = pages.newer(**where, place=_place(pages, kind, given, "ending_before"))
        data = found[:limit][::-1]
    else:
        after = "starting_after" in given
        place = _place(pages, kind, given, "starting_after") if after else None
        found = pages.older(**where, place=place)
        data = found[:limit]
    expand = [path.removeprefix("data.") for path in expansions(given)]
    data = [expanded(pages, each, expand) for each in data]
    return stripe_objects.page(url, data, has_more=len(found) > limit)


def _parent(pages: Pages, given: Json) -> str | None:
    """What the listed objects must belong to; a charge stands for its payment intent."""
    if "charge" in given:
        charge = pages.get("charge", required(given, "charge"))
        return str(charge["payment_intent"]) if charge else ""
    for name in ("payment_intent", "source", "customer"):
        if name in given:
            return required(given, name)
    return None


def _place(pages: Pages, kind: str, given: Json, name: str) -> int:
    id_ = required(given, name)
    place = pages.place(kind, id_)
    if place is None:
        raise invalid(f"No such {kind}: '{id_}'", "resource_missing", param=name)
    return place


def _created(limits: Any) -> tuple[int, int]:
    earliest, latest = 0, SECONDS_MAX
    if limits is None:
        return earliest, latest
    if not isinstance(limits, dict):
        limits = {"gte": limits, "lte": limits}
    for name in limits:
        at = integer(limits, name)
        if at is None or name not in NARROWS:
            raise invalid(f"Received unknown parameter: created[{name}]", param="created")
        first, last = NARROWS[name](at)
        earliest, latest = max(earliest, first), min(latest, last)
    return earliest, latest


def expansions(given: Json) -> list[str]:
    """The dotted paths that ``expand[]`` names."""
    found = given.get("expand", {})
    if not isinstance(found, dict):
        raise invalid("Invalid array", param="expand")
    return [str(path) for path in found.values()]


def expanded(pages: Pages, thing: Json, paths: list[str]) -> Json:
    """`thing` with the objects in place of their ids. Raises Refused for what has none."""
    made = dict(thing)
    for path in paths:
        field, _, rest = path.partition(".")
        kinds = EXPANDABLE.get(str(thing["object"]), {}).get(field)
        if kinds is None:
            raise invalid(f"This property cannot be expanded ({field}).", param="expand")
        id_ = thing.get(field)
        for kind in kinds if id_ else ():
            if (found := pages.get(kind, str(id_))) is not None:
                made[field] = expanded(pages, found, [rest] if rest else [])
    return made
