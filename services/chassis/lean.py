"""Imports without what a service never uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
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


def load_parts_alone(package: str) -> None:
    """From now on import a module of `package` without whatever else the package would import.

    The countries of `holidays` are 250 modules, 7 MB, for the one that is asked.
    """
    spec = find_spec(package)
    if spec is not None:
        LOADED.setdefault(package, module_from_spec(spec))
