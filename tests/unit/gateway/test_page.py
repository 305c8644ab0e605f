"""The customer's page of a return: what it shows, and what it never lets through."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from contracts.fulfillment import ReturnLabelIssued
from contracts.lifecycle import Party, Status
from services.gateway.answer import GoodsAnswer, ReturnAnswer, TimelineEntry
from services.gateway.model import GoodsState, Sighting
from services.gateway.page import WHO, page

NOW = datetime(2026, 3, 4, 9, 30, tzinfo=UTC)
RETURN = "7d6f3f0a-5b0c-4a7e-9a55-0c2b1c6f7a10"
EVIL = "\"'><script>alert(1)</script>"


class Tags(HTMLParser):
    """Every tag with its attributes, and the text, as a browser reads them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def label(word: str = "T1", *, url: str = "https://carrier.example/T1") -> ReturnLabelIssued:
    return ReturnLabelIssued(
        return_id=RETURN, order_id="order-1001", carrier=word, tracking_number=word,
        label_url=f"{url}.pdf", qr_url=f"{url}.png", expires_at=NOW + timedelta(days=30),
    )  # fmt: skip


def an_answer(
    status: Status = Status.AWAITING_PHYSICAL_RECEIPT,
    *,
    word: str = "Send it back.",
    slip: ReturnLabelIssued | None = None,
) -> ReturnAnswer:
    return ReturnAnswer(
        return_id=RETURN, order_id=word, status=status, waiting_on=Party.CUSTOMER,
        until=NOW + timedelta(days=14), refund_due=NOW + timedelta(days=28), explanation=word,
        label=slip or label(),
        goods=GoodsAnswer(
            state=GoodsState.IN_TRANSIT,
            tracking=(Sighting(at=NOW, what=word, tracking_number="T1"),),
        ),
        timeline=(TimelineEntry(at=NOW, status=status, explanation=word),),
    )  # fmt: skip


def test_the_page_says_what_comes_next_by_when_and_where_the_parcel_is() -> None:
    seen = Tags(page(an_answer()))
    for words in (
        "It is your turn.", "Send it back.", "By 18 March 2026, 09:30 UTC",
        "Your refund is due by 1 April 2026, 09:30 UTC", "Valid until 3 April 2026, 09:30 UTC",
        "4 March 2026, 09:30 UTC", "Where the parcel is",
    ):  # fmt: skip
        assert words in seen.text, words
    (link,) = seen.of("a")
    assert link["href"] == "https://carrier.example/T1.pdf"
    (image,) = seen.of("img")
    assert image["src"] == "https://carrier.example/T1.png"
    assert image["alt"] == "QR code of your label, number T1"
    assert seen.of("html")[0]["lang"] == "en"
    assert len(seen.of("h1")) == len(seen.of("main")) == len(seen.of("title")) == 1
    assert not seen.of("script")
    ids = {each.get("id") for _, each in seen.tags}
    assert {each["aria-labelledby"] for _, each in seen.tags if "aria-labelledby" in each} <= ids


def test_words_from_outside_are_words_and_nothing_else() -> None:
    slip = label(EVIL, url=f"https://carrier.example/{EVIL}")
    seen = Tags(page(an_answer(word=EVIL, slip=slip)))
    assert not seen.of("script")
    assert seen.text.count("<script>") >= 5
    (link,) = seen.of("a")
    assert set(link) == {"class", "href"}
    (image,) = seen.of("img")
    assert set(image) == {"src", "alt"}


@pytest.mark.parametrize("url", ["javascript:alert(1)//", "data:text/html,x", "//elsewhere"])
def test_a_link_that_a_browser_would_run_is_left_out(url: str) -> None:
    seen = Tags(page(an_answer(slip=label(url=url))))
    assert not seen.of("a")
    assert not seen.of("img")
    assert "T1" in seen.text


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.SETTLED, Status.REJECTED])
def test_no_label_is_offered_where_nothing_is_to_be_sent(status: Status) -> None:
    assert "Your label" not in page(an_answer(status))


def test_every_party_has_its_sentence() -> None:
    assert set(WHO) == set(Party) - {Party.UNKNOWN}
