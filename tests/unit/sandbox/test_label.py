"""The label as paper: what a scanner and a customs officer have to find on it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from services.sandbox import carrier, label

NUMBER = carrier.tracking_number("return-1:1")
HOME = {
    "name": "Zoë Łukasz-Öztürk", "line1": "Königsstraße 5", "city": "München",
    "postal_code": "80331", "country": "DE",
}  # fmt: skip
PLAIN: dict[str, Any] = {
    "carrier": "Sandbox Parcel",
    "tracking_number": NUMBER,
    "return_id": "7b1d1f6e-5e57-4f0c-9a55-6dc4a0a5a001",
    "order_id": "1001",
    "expires_at": "2026-12-25T10:00:00Z",
    "from": HOME,
    "to": HOME | {"name": "Acme Returns"},
    "weight_grams": 905,
}
ITEM = {"description": "Jacket", "quantity": 2, "value": 39934, "currency": "EUR"}
MODULE = 8
FINDER = 7


def dark(image: Image.Image, column: int, row: int) -> bool:
    return image.getpixel((column * MODULE + MODULE // 2, row * MODULE + MODULE // 2)) == 0


def test_the_qr_code_is_one_that_telephones_read() -> None:
    """A full QR code has three corners; a Micro QR code, which few scanners know, has one."""
    image = Image.open(io.BytesIO(label.qr_png(NUMBER))).convert("L")
    size = image.width // MODULE
    assert size >= 21 + 2 * 4
    last = size - 4 - FINDER
    for left, top in ((4, 4), (last, 4), (4, last)):
        ring = [dark(image, left + step, top) for step in range(FINDER)]
        assert all(ring), (left, top)
        assert dark(image, left + 3, top + 3)
        assert not dark(image, left + 1, top + 1)
    quiet = [dark(image, column, 1) for column in range(size)]
    assert not any(quiet)


@pytest.mark.parametrize(
    ("more", "pages"),
    [
        ({}, 1),
        ({"from": None, "to": None, "weight_grams": None, "expires_at": ""}, 1),
        ({"test": True, "order_id": "x" * 300, "return_id": "y" * 300}, 1),
        ({"customs": {"items": [ITEM]}}, 2),
        ({"customs": {"items": [ITEM | {"hs_code": "6201.40", "origin_country": "PT"}] * 30}}, 2),
        ({"customs": {"items": []}}, 2),
    ],
)
def test_a_label_is_one_page_and_customs_have_one_of_their_own(
    more: dict[str, Any], pages: int
) -> None:
    paper = label.label_pdf(PLAIN | more)
    assert paper.startswith(b"%PDF")
    assert f"/Count {pages}".encode() in paper


@pytest.mark.parametrize(("grams", "text"), [(905, "0.91"), (2000, "2.00"), (1, "0.01"), (0, "")])
def test_a_parcel_is_never_declared_too_light(grams: int, text: str) -> None:
    assert label._kilograms(grams) == text


def test_letters_that_the_font_lacks_are_spelled_as_well_as_can_be() -> None:
    assert label._shown("Łódź, Ștefan’s Größe 北") == "Lódz, Stefan's Größe ?"


@pytest.mark.parametrize(
    ("changes", "item", "form"),
    [
        ({}, {"value": 33000}, "CN22"),
        ({}, {"value": 33001}, "CN23"),
        ({"weight_grams": 2000}, {"value": 100}, "CN22"),
        ({"weight_grams": 2001}, {"value": 100}, "CN23"),
        ({"weight_grams": None}, {"value": 100, "weight_grams": 2001}, "CN23"),
        ({}, {"value": 100, "currency": "SEK"}, "CN23"),
        ({"tracking_number": "CP123456785SB"}, {"value": 100}, "CN23"),
    ],
)
def test_the_short_customs_form_is_for_light_cheap_letter_post_only(
    changes: dict[str, Any], item: dict[str, Any], form: str
) -> None:
    assert label.customs_form(PLAIN | {"customs": {"items": [ITEM | item]}} | changes) == form
