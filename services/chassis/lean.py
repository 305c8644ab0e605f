"""Imports without what a service never uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOADED: dict[str, Any] = sys.modules


@contextmanager
def without(package: str) -> Iterator[None]:
    """Import in this block as if `package` were not installed; nothing, if it is loaded already."""
    if package in LOADED:
        yield
        return
    LOADED[package] = None
    try:
        yield
    finally:
        del LOADED[package]
