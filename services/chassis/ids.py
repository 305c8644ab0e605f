"""Identifiers: derived where a retry must give the same one, random elsewhere."""

from __future__ import annotations

import hashlib
import secrets
from uuid import UUID, uuid4, uuid5

NAMESPACE = UUID("5b1c7a52-54d3-4f8e-9a67-0d3f1f6b7a10")


def derived(*parts: str) -> str:
    """The same UUID for the same parts, for ever."""
    return str(uuid5(NAMESPACE, "\x1f".join(parts)))


def digest(*parts: str) -> UUID:
    """16 bytes that name these parts: a compact key of a table, never published."""
    name = "\x1f".join(parts).encode()
    return UUID(bytes=hashlib.blake2b(name, digest_size=16).digest())


def fingerprint(value: bytes) -> str:
    """A short name of these bytes."""
    return hashlib.blake2b(value, digest_size=16).hexdigest()


def new() -> str:
    return str(uuid4())


def new_uuid() -> UUID:
    return uuid4()


def secret(length_bytes: int = 32) -> str:
    """An unguessable token, safe in URLs."""
    return secrets.token_urlsafe(length_bytes)
