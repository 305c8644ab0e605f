"""The inventory's interface as others read it."""

from __future__ import annotations

import json
from pathlib import Path

from services.sandbox import inventory
from services.sandbox.book import Book

CALLED = {
    ("get", "/inventory/{sku}"),
    ("post", "/inventory/reservations"),
    ("delete", "/inventory/reservations/{reference}"),
    ("post", "/inventory/restocks"),
    ("post", "/warehouse/shipments"),
}
"""What fulfillment calls: see services/fulfillment/warehouse.py."""


def test_the_kept_description_is_the_interface_that_the_sandbox_plays(tmp_path: Path) -> None:
    book = Book(tmp_path / "world.sqlite")
    try:
        assert inventory.FILE.read_text() == inventory.text(book)
    finally:
        book.close()


def test_everything_that_fulfillment_calls_is_described_in_words() -> None:
    paths = json.loads(inventory.FILE.read_text())["paths"]
    described = {(method, path) for path, calls in paths.items() for method in calls}
    assert described >= CALLED
    assert all(call.get("description") for calls in paths.values() for call in calls.values())
