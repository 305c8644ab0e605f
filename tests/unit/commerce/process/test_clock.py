"""The statutory clock of each return: starts with the goods where it has to, and is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.lifecycle import ReturnStatusChanged
from contracts.orders import OrderSnapshot
from services.commerce.judgement import clock
from services.commerce.messages import NotifyReviewers
from tests.unit.commerce.process import examples
from tests.unit.commerce.process.play import Play
from tests.unit.commerce.process.test_money import policy

WITHDRAWN = {"reason": "changed_mind"}


def bought(country: str) -> OrderSnapshot:
    currency = {"DE": "EUR", "GB": "GBP", "KR": "KRW"}.get(country, "USD")
    order = examples.order(country=country, currency=currency)
    if country != "KR":
        return order
    parcel = order.deliveries[0].model_copy(
        update={"delivered_at": examples.NOW - timedelta(days=3)}
    )
    return order.model_copy(update={"deliveries": (parcel,)})


def end(day: int, hour: int, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, 59, 59, tzinfo=UTC)


def withdrawn(country: str, **settings: Any) -> Play:
    order = bought(country)
    play = Play(order=order, policy=policy(**settings)) if settings else Play(order=order)
    return play.approved(**WITHDRAWN, currency=order.currency)


def test_a_british_clock_starts_with_the_proof_of_sending() -> None:
    play = withdrawn("GB")
    assert play.made.refund_due is None and play.current.refund_due is None
    play.later(timedelta(days=2)).say(examples.shipped(at=play.now))
    assert play.current.refund_due == end(17, 23)
    assert play.status.refund_due == end(17, 23)


def test_a_korean_clock_starts_with_the_goods_and_counts_working_days() -> None:
    play = withdrawn("KR")
    play.say(examples.shipped(at=play.now))
    assert play.current.refund_due is None
    play.later(timedelta(days=4)).say(examples.received(at=play.now))
    assert play.current.refund_due == end(10, 14)


def test_a_european_clock_runs_from_the_notice_and_moves_to_a_late_proof_of_sending() -> None:
    play = withdrawn("DE")
    assert play.current.refund_due == play.made.refund_due == end(15, 22)
    play.later(timedelta(days=20)).say(examples.shipped(at=play.now))
    assert play.current.refund_due == end(21, 22)


def test_an_american_card_is_credited_within_seven_business_days_of_the_receipt() -> None:
    play = Play(policy=policy(refund_on="receipt")).approved()
    assert play.current.refund_due is None
    play.later(timedelta(days=3)).sent_back()
    assert play.current.refund_due == end(14, 6)


def test_what_is_over_shows_no_clock_any_more() -> None:
    play = withdrawn("DE")
    play.say(examples.shipped()).say(examples.settled(play.released))
    play.say(examples.delivered(), examples.received(), examples.inspected())
    assert play.statuses[-1] == "settled"
    shown = [each.refund_due for each in play.all(ReturnStatusChanged)]
    assert shown[-1] is None and any(shown)


@pytest.mark.parametrize(("days", "words"), [(3, "is due by"), (30, "it is overdue")])
def test_people_are_reminded_with_the_clock(days: int, words: str) -> None:
    order = bought("DE").model_copy(update={"version": 2})
    play = Play(order=order, policy=policy(), mail=True)
    play.ask(examples.request(reason="changed_mind", currency="USD")).assessed()
    assert play.status.status == "awaiting_review" and play.status.refund_due == end(15, 22)
    play.now += timedelta(days=days)
    play.wait_over()
    mail = play.mails[-1].payload
    assert isinstance(mail, NotifyReviewers) and words in mail.text


def test_the_clock_in_words_says_how_long_is_left() -> None:
    assert clock.told(None, examples.NOW) == ""
    due = examples.NOW + timedelta(days=2, hours=1)
    assert "(2 whole days left)" in clock.told(due, examples.NOW)
