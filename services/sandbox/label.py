"""What a label looks like: an A6 page to stick on the parcel, and a page for customs behind it."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterable
from typing import Any

from contracts.money import Money
from services.sandbox.pages import Json

A6_MM = (105, 148)
MARGIN_MM = 7
WIDTH_MM = A6_MM[0] - 2 * MARGIN_MM
QR_MM = 38
BAR_MM = 1.0
"""A wide bar of the bar code; a narrow one is a third, a scanner's usual 0.33 mm."""
CN22_GRAMS_MAX = 2000
CN22_WORTH_MAX = {"USD": 38000, "EUR": 33000, "GBP": 28000, "JPY": 45000, "CNY": 270000}
"""Minor units that are certainly below 300 special drawing rights, in the currencies of their
basket. Rates move, so each is well below; what is worth more, or in another currency, takes the
longer form, which is never wrong."""
LETTER_POST = frozenset("LRUV")
"""First letters of S10 numbers (UPU) of letter-post items."""
CUSTOMS_ROWS_MAX = 9
POSTCODE_FIRST = ("postal_code", "city", "region")
POSTCODE_LAST = ("city", "region", "postal_code")
POSTCODE_LAST_IN = frozenset({"AU", "CA", "GB", "IE", "IN", "NZ", "US"})
SPELLED = str.maketrans({"Ł": "L", "ł": "l", "Đ": "D", "đ": "d", "ı": "i", "–": "-", "’": "'"})
"""Letters that neither the page's font nor Unicode's decomposition has."""
GREY = 110
LATIN_1_LAST = 255
COLUMNS = (("What it is", 37), ("Pcs", 8), ("kg", 11), ("Value", 20), ("HS / origin", 15))
"""(heading, width in mm)"""


def qr_png(text: str) -> bytes:
    """A QR code with its quiet zone; never a Micro QR code, which telephones don't read."""
    import segno

    out = io.BytesIO()
    segno.make_qr(text, error="m").save(out, kind="png", scale=8, border=4)
    return out.getvalue()


def label_pdf(label: Json) -> bytes:
    """The label's pages: one, and one more where customs want to know what is inside."""
    from fpdf import FPDF

    page = FPDF(format=A6_MM)
    page.set_title(f"Return label {label['tracking_number']}")
    page.set_margin(MARGIN_MM)
    page.set_auto_page_break(False)
    page.add_page()
    _head(page, label["carrier"], "TEST" if label.get("test") else "RETURN")
    _address(page, "FROM", label.get("from"), size=8)
    _line(page, page.get_y() + 1.5)
    _address(page, "TO", label.get("to"), size=12)
    _codes(page, label)
    if label.get("customs"):
        _customs(page, label)
    return bytes(page.output())


def _head(page: Any, left: str, right: str) -> None:
    page.set_fill_color(0)
    page.rect(0, 0, A6_MM[0], 16, style="F")
    page.set_text_color(255)
    page.set_font("Helvetica", "B", 15)
    page.set_xy(MARGIN_MM, 4)
    page.cell(WIDTH_MM, 8, _shown(left))
    page.set_xy(MARGIN_MM, 4)
    page.cell(WIDTH_MM, 8, right, align="R")
    page.set_text_color(0)
    page.set_y(19)


def _address(page: Any, caption: str, address: Json | None, *, size: int) -> None:
    _small(page, caption, height=4)
    given = address or {}
    last = str(given.get("country")) in POSTCODE_LAST_IN
    order = POSTCODE_LAST if last else POSTCODE_FIRST
    place = [given.get(name) for name in order]
    lines = [given.get("name"), given.get("line1"), given.get("line2"), _joined(place)]
    page.set_font("Helvetica", "B" if size > 10 else "", size)
    for text in [*lines, given.get("country")]:
        if text:
            page.cell(WIDTH_MM, size * 0.44, _fitting(page, str(text), WIDTH_MM))
            page.ln()


def _codes(page: Any, label: Json) -> None:
    """The QR code with the facts beside it, and the bar code with the number under it."""
    top = 76
    _line(page, top - 3)
    number = label["tracking_number"]
    page.image(io.BytesIO(qr_png(number)), x=MARGIN_MM - 3, y=top - 2, w=QR_MM + 4)
    page.set_y(top + 1)
    weight = label.get("weight_grams")
    for caption, text in (
        ("ORDER", label.get("order_id")),
        ("RETURN", label.get("return_id")),
        ("WEIGHT", f"{_kilograms(weight)} kg" if weight else None),
        ("HAND IN BEFORE", str(label.get("expires_at", ""))[:10]),
    ):
        if text:
            page.set_x(MARGIN_MM + QR_MM + 3)
            _small(page, caption, height=3.2)
            page.set_x(MARGIN_MM + QR_MM + 3)
            page.set_font("Helvetica", "", 6.5 if len(str(text)) > 24 else 9)
            room = WIDTH_MM - QR_MM - 3
            page.cell(room, 4.6, _fitting(page, str(text), room))
            page.ln(5.6)
    _line(page, 117)
    bars = f"*{number}*"
    width = len(bars) * 16 * BAR_MM / 3
    page.code39(bars, x=(A6_MM[0] - width) / 2, y=120, w=BAR_MM, h=15)
    page.set_y(136)
    page.set_font("Courier", "B", 13)
    page.cell(WIDTH_MM, 7, f"{number[:2]} {number[2:5]} {number[5:8]} {number[8:11]} {number[11:]}",
              align="C")  # fmt: skip


def customs_form(label: Json) -> str:
    """`CN22`, or `CN23` wherever the short form might not do.

    UPU Convention, regulations on customs declarations: a CN22 accompanies letter-post items whose
    contents are worth at most SDR 300, and letter post weighs at most 2 kg; all else, so every
    parcel, has a CN23. The weight is the whole item's where it is known, else of what is in it.
    """
    items: list[Json] = label["customs"].get("items", [])
    inside = sum(item.get("weight_grams") or 0 for item in items)
    light = max(label.get("weight_grams") or 0, inside) <= CN22_GRAMS_MAX
    currencies = {item["currency"] for item in items}
    worth = sum(item["value"] for item in items)
    cheap = len(currencies) <= 1 and all(
        worth <= CN22_WORTH_MAX.get(currency, -1) for currency in currencies
    )
    letter = label["tracking_number"][:1] in LETTER_POST
    return "CN22" if letter and light and cheap else "CN23"


def _customs(page: Any, label: Json) -> None:
    items: list[Json] = label["customs"].get("items", [])
    grams = sum(item.get("weight_grams") or 0 for item in items)
    page.add_page()
    _head(page, "Customs declaration", customs_form(label))
    page.set_font("Helvetica", "B", 10)
    page.cell(WIDTH_MM, 5, "[x] Returned goods - not for sale")
    page.ln(7)
    _row(page, [heading for heading, _ in COLUMNS], style="B")
    for item in items[:CUSTOMS_ROWS_MAX]:
        _row(page, _cells(item))
    if len(items) > CUSTOMS_ROWS_MAX:
        _row(page, [f"and {len(items) - CUSTOMS_ROWS_MAX} more", "", "", "", ""])
    currency = items[0]["currency"] if items else ""
    pieces = sum(item["quantity"] for item in items)
    worth = str(Money(sum(item["value"] for item in items), currency)) if items else ""
    _row(page, ["Together", str(pieces), _kilograms(grams), worth, ""], style="B")
    page.ln(3)
    _address(page, "SENDER", label.get("from"), size=8)
    page.ln(2)
    page.set_font("Helvetica", "", 7)
    page.multi_cell(
        WIDTH_MM, 3.4,
        "I, whose name and address are given above, declare that these particulars are correct"
        " and that the parcel holds nothing dangerous or forbidden.",
    )  # fmt: skip
    _line(page, 138)
    page.set_y(139)
    _small(page, "DATE AND SIGNATURE OF THE SENDER", height=3)


def _cells(item: Json) -> list[str]:
    return [
        item["description"],
        str(item["quantity"]),
        _kilograms(item.get("weight_grams")),
        str(Money(item["value"], item["currency"])),
        _joined([item.get("hs_code"), item.get("origin_country")]),
    ]


def _row(page: Any, cells: Iterable[str], *, style: str = "") -> None:
    page.set_font("Helvetica", style, 7)
    for number, (text, (_, width)) in enumerate(zip(cells, COLUMNS, strict=True)):
        align = "R" if number in (1, 2, 3) else "L"
        page.cell(width, 5.2, _fitting(page, text, width), border="B", align=align)
    page.ln()


def _small(page: Any, caption: str, *, height: float) -> None:
    page.set_text_color(GREY)
    page.set_font("Helvetica", "", 6)
    page.cell(WIDTH_MM, height, caption)
    page.ln()
    page.set_text_color(0)


def _line(page: Any, y: float) -> None:
    page.line(MARGIN_MM, y, A6_MM[0] - MARGIN_MM, y)
    page.set_y(y + 1.5)


def _kilograms(grams: int | None) -> str:
    """Two decimals, rounded up: a parcel is never declared too light."""
    if not grams:
        return ""
    hundredths = -(-grams // 10)
    return f"{hundredths // 100}.{hundredths % 100:02}"


def _joined(parts: Iterable[object]) -> str:
    return " ".join(str(part) for part in parts if part)


def _fitting(page: Any, text: str, width: float) -> str:
    """As much of the text as the width takes."""
    shown = _shown(text)
    if page.get_string_width(shown) <= width - 2:
        return shown
    while shown and page.get_string_width(f"{shown}...") > width - 2:
        shown = shown[:-1]
    return f"{shown.rstrip()}..."


def _shown(text: str) -> str:
    """What the page's font has of it: Latin-1, other letters without their accents."""
    return "".join(map(_letter, text.translate(SPELLED)))


def _letter(letter: str) -> str:
    if ord(letter) <= LATIN_1_LAST:
        return letter
    plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return plain or "?"
