"""Law as data: every row of the table is there, with its source and how sure we are of it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.commerce.law import countries, periods, provisions, zones
from services.commerce.law.provisions import ROWS
from services.commerce.law.rows import Clock, Confidence, Deadline
from tests.unit.commerce.judge.documents import NOW, codes, german, judge, line, order

TO_BRITAIN = Deadline(days=14, clock=Clock.GOODS_OR_PROOF)
TABLE = """
EU-WD-GOODS EU-WD-MULTI EU-WD-LOTS EU-WD-RECUR EU-WD-SERVICE EU-WD-UNSOL EU-WD-NOINFO
EU-WD-EXERCISE EU-WD-SENDBACK EU-WITHHOLD EU-SAMEMEANS EU-SHIP-STD EU-DIMVALUE EU-ART16 EU-11A
EU-ANCILLARY EU-LATE-DELIV EU-CONF-2Y EU-CONF-BURDEN EU-CONF-HIER EU-REPAIR-EXT DE-WD FR-WD
FR-LATE-PENALTY FR-LATE-DELIVERY-PENALTY IT-WD NL-11A RO-11A AT-WD CH-NONE UK-CANCEL UK-REJECT-30
UK-FINAL-REJECT US-FTC-MITOR US-FTC-COOL US-FCBA-CREDIT US-CA US-CA-FEE-TAX US-NY US-FL US-NJ
US-OTHER US-DEFAULT CA-ON CA-QC AU-ACL NZ-CGA JP-MAIL BR-CDC49 CN-7D KR-ECOMM IN-ECOM
""".split()


@pytest.mark.parametrize("row_id", TABLE)
def test_every_row_of_the_table_is_data(row_id: str) -> None:
    row = ROWS[row_id]
    assert row.source and row.summary and row.countries <= countries.COUNTRIES
    assert row.confidence in Confidence
    assert ("unverified" in row.citation) == (row.confidence is Confidence.LOW)


def test_the_national_provisions_are_rows() -> None:
    assert set(provisions.NATIONAL.values()) <= set(ROWS)


@pytest.mark.parametrize(
    ("country", "row"), [("DE", "DE-WD"), ("FR", "FR-WD"), ("PL", "EU-WD-GOODS")]
)
def test_a_withdrawal_cites_the_national_provision(country: str, row: str) -> None:
    decision = judge(order=german(line(900), country=country))
    [cited] = [each for each in decision.findings if each.code == "statutory_withdrawal"]
    assert cited.rule_id == row and cited.source == ROWS[row].citation


@pytest.mark.parametrize("country", ["US", "CH", "JP", "AU", "IN"])
def test_no_general_right_without_a_reason_there(country: str) -> None:
    decision = judge(order=order(line(900), country=country, region=None))
    assert decision.legal_basis == "merchant_policy"
    assert "law_unknown" not in codes(decision)


def test_every_country_has_the_zone_in_which_its_day_ends_last() -> None:
    names = [*zones.COUNTRY_ZONES.values(), *zones.REGION_ZONES.values()]
    assert all(ZoneInfo(name) for name in names)
    assert zones.COUNTRY_ZONES.keys() >= countries.EEA
    west = zones.end_of_day(date(2026, 7, 1), "US", None)
    for region in ("CA", "TX", "NY", "AK", "FL"):
        assert zones.end_of_day(date(2026, 7, 1), "US", region) <= west


def test_dates_at_the_end_of_the_calendar_do_not_overflow() -> None:
    assert zones.days_after(date.max, 30) == date.max
    assert zones.next_day(date.max, "US", None) == zones.END_OF_TIME
    assert periods.months_after(date(9999, 6, 1), 12) == date.max
    far = datetime.max.replace(tzinfo=UTC)
    assert zones.local_date(far, "JP", None) == date.max


@pytest.mark.parametrize(
    ("deadline", "facts", "day"),
    [
        (Deadline(days=14, clock=Clock.NOTICE), {}, date(2026, 4, 3)),
        (Deadline(days=14, clock=Clock.NOTICE), {"sent": 20}, date(2026, 4, 9)),
        (Deadline(days=14, clock=Clock.NOTICE), {"sent": 20, "received": 16}, date(2026, 4, 5)),
        (Deadline(days=14, clock=Clock.NOTICE), {"received": 3}, date(2026, 4, 3)),
        (TO_BRITAIN, {}, None),
        (TO_BRITAIN, {"sent": 2, "received": 5}, date(2026, 4, 5)),
        (Deadline(days=7, clock=Clock.GOODS), {"sent": 2}, None),
        (Deadline(days=7, clock=Clock.GOODS), {"sent": 2, "received": 5}, date(2026, 4, 1)),
        (
            Deadline(days=3, clock=Clock.GOODS, working_days=True),
            {"received": 0},
            date(2026, 3, 25),
        ),
        (Deadline(days=14, clock=Clock.AGREEMENT), {}, None),
    ],
)
def test_a_refund_is_due_at_the_end_of_a_day(
    deadline: Deadline, facts: dict[str, int], day: date | None
) -> None:
    known = {name: NOW + timedelta(days=ago) for name, ago in facts.items()}
    due = periods.refund_due(deadline, "DE", None, notice=NOW, **known)  # type: ignore[arg-type]
    assert due == (None if day is None else zones.end_of_day(day, "DE", None))
