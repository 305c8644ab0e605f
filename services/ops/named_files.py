"""The files that variables name, read as the services will read them: before any of them starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from services.chassis.keys import ApiKeys
from services.chassis.settings import Settings
from services.commerce.policy.loader import PolicyRefused
from services.commerce.policy.source import read_versions

KEYS, POLICY = "RETURNS_API_KEYS_FILE", "POLICY_PATH"


def _read_policy(settings: Settings) -> None:
    try:
        read_versions(Path(settings.policy_path))
    except PolicyRefused as refused:
        raise SystemExit(f"{POLICY}: {refused}") from None


READERS: dict[str, Callable[[Settings], object]] = {POLICY: _read_policy, KEYS: ApiKeys}


def faults(settings: Settings) -> Iterator[tuple[str, str | None]]:
    """(variable, what is wrong with its file or None), of the variables that are set."""
    for variable, read in READERS.items():
        if getattr(settings, variable.lower()):
            try:
                read(settings)
            except SystemExit as refusal:
                yield variable, str(refusal)
            else:
                yield variable, None
