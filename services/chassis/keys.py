"""API keys: their hashes and scopes in a file, the keys themselves nowhere."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

from fastapi import Depends, Request

from services.chassis.http import Problem
from services.chassis.settings import Settings

SCOPES = frozenset(
    {"orders:write", "returns:write", "returns:read", "reviews:write", "warehouse:write"}
)


def digest(key: str) -> str:
    """What the file holds in place of a key. Keys are random, so a plain hash is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


class ApiKeys:
    """Keys and their scopes from a JSON file {sha256 of key: {name, scopes[]}}; none: all is open.

    Without keys a service listens on loopback only.
    """

    def __init__(self, settings: Settings) -> None:
        self.path = Path(settings.returns_api_keys_file) if settings.returns_api_keys_file else None
        self._keys: dict[str, dict[str, Any]] = {}
        if self.path is not None:
            self._keys = _read(self.path)

    @property
    def configured(self) -> bool:
        return self.path is not None

    def allow(self, request: Request, *scopes: str) -> str | None:
        """The name of the owner of a key with one of `scopes`; None without configured keys.

        Raises Problem 401 without a valid key, 403 without the scope.
        """
        if not self.configured:
            return None
        owner = self.owner(request)
        if owner is None:
            raise Problem(
                401,
                "send a valid key as Authorization: Bearer <key>",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not set(scopes) & set(owner["scopes"]):
            raise Problem(403, f"this key lacks the scope {' or '.join(scopes)}")
        return str(owner["name"])

    def holding(self, *scopes: str) -> Any:
        """A dependency of a route: only who holds one of `scopes` gets in."""

        async def check(request: Request) -> None:
            self.allow(request, *scopes)

        return Depends(check)

    def has(self, request: Request, scope: str) -> bool:
        """Whether the caller holds a scope; True without configured keys."""
        if not self.configured:
            return True
        owner = self.owner(request)
        return owner is not None and scope in owner["scopes"]

    def owner(self, request: Request) -> dict[str, Any] | None:
        given = request.headers.get("authorization", "")
        if not given.lower().startswith("bearer "):
            return None
        hashed = digest(given[7:].strip())
        for known, owner in self._keys.items():
            if hmac.compare_digest(known.encode(), hashed.encode()):
                return owner
        return None


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(path.read_text())
        keys = {str(hashed): dict(owner) for hashed, owner in found.items()}
        for owner in keys.values():
            unknown = set(owner["scopes"]) - SCOPES
            if unknown:
                raise ValueError(f"unknown scopes {sorted(unknown)}")
            owner["name"] = str(owner["name"])
    except KeyError as error:
        raise SystemExit(f"RETURNS_API_KEYS_FILE: an entry of {path} has no {error}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SystemExit(f"RETURNS_API_KEYS_FILE: {path} cannot be read: {error}") from None
    return keys
