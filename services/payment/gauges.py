"""Refunds whose end is not known yet."""

from __future__ import annotations

from datetime import timedelta

from prometheus_client import Gauge

from services.chassis.gauges import Reading
from services.payment.audit.difference import Kind
from services.payment.audit.reconcile import Report

UNFINISHED = Gauge("returns_refunds_unfinished", "Refunds not over yet", ["service", "state"])
UNFINISHED_AGE = Gauge(
    "returns_refunds_unfinished_age_seconds", "Age of the oldest one", ["service", "state"]
)
DIFFERENCES = Gauge(
    "returns_reconciliation_differences",
    "Differences between our books and a processor's, as the last comparison found them",
    ["kind"],
)


def tell(report: Report) -> None:
    """The last comparison's differences, zero where it found none."""
    for kind in Kind:
        number = sum(each.kind is kind for each in report.differences)
        DIFFERENCES.labels(kind).set(number)


# Every unfinished refund has one deadline named "poll"; how it stands is its last move.
UNFINISHED_REFUNDS = """
WITH unfinished AS MATERIALIZED (
    SELECT last.state, $1::timestamptz - intent.at AS age
    FROM deadlines d
    JOIN refund_intents intent ON intent.refund_id = d.subject
    CROSS JOIN LATERAL (SELECT state FROM refund_moves moved WHERE moved.refund_id = d.subject
                        ORDER BY seq DESC LIMIT 1) last
    WHERE d.name = 'poll' AND NOT intent.test
)
SELECT 'returns_refunds_unfinished' AS gauge, ARRAY[state] AS labels, count(*)::float8 AS value
FROM unfinished GROUP BY 2
UNION ALL SELECT 'returns_refunds_unfinished_age_seconds', ARRAY[state],
    extract(epoch FROM max(age)) FROM unfinished GROUP BY 2
"""
READINGS = (
    Reading(
        sql=UNFINISHED_REFUNDS,
        gauges=(UNFINISHED, UNFINISHED_AGE),
        every=timedelta(seconds=30),
    ),
)
