"""A quote is compared with the decision in all that a customer was told, with the reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from contracts.decisions import ReturnDecisionMade
from services.commerce import api, judgement
from services.commerce.decide import promises
from services.commerce.promise import Promise
from tests.unit.commerce.judge.documents import (
    NOW,
    case,
    days,
    defaults,
    line,
    order,
    request,
    returnability,
    wanted,
)

BOUGHT = order(line(9000, quantity=2), shipping={"paid": 900, "cheapest_offered": 900})


def decided(**document: Any) -> ReturnDecisionMade:
    given = {"order": BOUGHT, "request": request(wanted("1", 2))} | document
    return judgement.judge(case(given))


def quoted(valid: timedelta = days(1), **document: Any) -> Promise:
    quote = api.quote_of(decided(**document), "q1", NOW + valid)
    return promises.of_quote(quote, NOW)


def said(promise: Promise, **document: Any) -> str | None:
    found = promises.difference(promise, decided(**document))
    return None if found is None else found.explanation


def test_a_decision_that_keeps_its_quote_says_nothing() -> None:
    assert said(quoted()) is None
    assert said(quoted(days(-1))) is None
    assert promises.difference(None, decided()) is None
    assert said(Promise(quote_id="unknown")) is None


def test_a_person_instead_of_an_approval_is_told_also_where_the_amount_is_the_same() -> None:
    facts = returnability({"line_id": "1", "returnable": False, "refusal": "gone"})
    told = said(quoted(), returnability=facts)
    assert told is not None
    assert "quoted as approved and is for a person" in told
    assert "cannot take Thing 1 back: gone (goods_not_returnable)" in told
    assert "were quoted" not in told


def test_another_amount_is_told_part_by_part_with_its_reason() -> None:
    fee = returnability({"line_id": "1", "restocking_fee_bps": 1000})
    told = said(quoted(), returnability=fee)
    assert told is not None
    assert "189.00 USD were quoted, 171.00 USD are calculated" in told
    assert "restocking fee 18.00 USD instead of 0.00 USD" in told


def test_a_quote_for_another_number_of_units_says_so() -> None:
    told = said(quoted(request=request(wanted("1"))))
    assert told is not None and "a quantity of 1 was quoted, this is 2" in told


def test_another_date_of_payment_is_told() -> None:
    told = said(quoted(policy=defaults(refund_on="approval")))
    assert told is not None and "it is paid after the inspection instead of at once" in told


def test_what_no_longer_speaks_against_it_is_told_too() -> None:
    late = order(line(9000, quantity=2), delivered=NOW - days(60))
    told = said(quoted(order=late))
    assert told is not None
    assert "quoted as for a person and is approved" in told and "outside window" in told


@pytest.mark.parametrize(("valid", "expired"), [(days(1), False), (days(-1), True)])
def test_a_quote_that_had_expired_is_named_as_such(valid: timedelta, expired: bool) -> None:
    told = said(quoted(valid, policy=defaults(refund_on="approval")))
    assert told is not None and ("which had expired at" in told) is expired
