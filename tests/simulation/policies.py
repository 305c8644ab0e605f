"""The merchant's policy of the simulation, and a newer version that only later orders see."""

from __future__ import annotations

from pathlib import Path

TEXT = """
policy: simulation
version: "{version}"
effective_from: {since}
defaults:
  window_days: {window}
rules:
  - id: electronics-opened
    when: {{category: [electronics], condition: [opened]}}
    set: {{restocking_fee_bps: 1500}}
limits:
  reversal_after_settlement: with_consent
  auto_approve_up_to: {{USD: 50000, EUR: 50000}}
"""
SINCE = {1: "2025-01-01T00:00:00Z", 2: "2026-03-02T09:00:01Z"}
WINDOW = {1: 30, 2: 14}


def begin(folder: Path) -> None:
    """Only the first version is in force."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "2.yaml").unlink(missing_ok=True)
    first = folder / "1.yaml"
    if not first.exists():
        first.write_text(_text(1))


def publish_the_next(folder: Path) -> None:
    """The merchant shortens the window for orders from now on."""
    second = folder / "2.yaml"
    if not second.exists():
        second.write_text(_text(2))


def _text(version: int) -> str:
    return TEXT.format(version=version, since=SINCE[version], window=WINDOW[version])
