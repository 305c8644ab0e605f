"""Identifiers: derived where a retry must give the same one, random elsewhere."""

from __future__ import annotations

from uuid import UUID, uuid4, uuid5

NAMESPACE = UUID("5b1c7a52-54d3-4f8e-9a67-0d3f1f6b7a10")


def derived(*parts: str) -> str:
    """The same UUID for the same parts, for ever."""
    return str(uuid5(NAMESPACE, "\x1f".join(parts)))


def new() -> str:
    return str(uuid4())


def new_uuid() -> UUID:
    return uuid4()
