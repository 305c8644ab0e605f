"""What the returns that are under way wait for, and what the law will soon ask for."""

from __future__ import annotations

from datetime import timedelta

from prometheus_client import Gauge

from services.chassis.gauges import Reading

OPEN = Gauge(
    "returns_open",
    "Returns that are not over",
    ["service", "status", "waiting_on", "age"],
)
OVERDUE = Gauge(
    "returns_overdue", "Returns whose wait should be over", ["service", "status", "waiting_on"]
)
OLDEST = Gauge("returns_open_age_seconds", "Age of the oldest open return", ["service", "status"])
REFUNDS_DUE = Gauge(
    "returns_statutory_due",
    "Unpaid returns by when the law wants the refund",
    ["service", "due"],
)
NOBODY = Gauge(
    "returns_waiting_on_nobody",
    "Open returns without a deadline of their own: there must be none",
    ["service"],
)

# Every return that is not over has one deadline named "wait": from that small table the figure
# costs as much as there are returns under way, however many are over.
UNDER_WAY = """
WITH under_way AS MATERIALIZED (
    SELECT r.status, r.waiting_on, r.until, $1::timestamptz - r.requested_at AS age
    FROM deadlines d JOIN returns r ON r.return_id = d.subject
    WHERE d.name = 'wait' AND r.until IS NOT NULL AND NOT r.test
)
SELECT 'returns_open' AS gauge, ARRAY[status, waiting_on, CASE
        WHEN age < interval '1 day' THEN '1d' WHEN age < interval '7 days' THEN '7d'
        WHEN age < interval '14 days' THEN '14d' WHEN age < interval '30 days' THEN '30d'
        ELSE 'older' END] AS labels, count(*)::float8 AS value
FROM under_way GROUP BY 2
UNION ALL SELECT 'returns_overdue', ARRAY[status, waiting_on], count(*) FROM under_way
    WHERE until < $1 - interval '10 minutes' GROUP BY 2
UNION ALL SELECT 'returns_open_age_seconds', ARRAY[status], extract(epoch FROM max(age))
    FROM under_way GROUP BY 2
"""
# The date stands in the decision, which is parsed only where money is still owed.
DUE_BY_LAW = """
SELECT 'returns_statutory_due' AS gauge, ARRAY[CASE
        WHEN due < $1::timestamptz THEN 'overdue' WHEN due < $1 + interval '2 days' THEN '2d'
        ELSE 'later' END] AS labels, count(*)::float8 AS value
FROM (
    SELECT (SELECT (decided.document ->> 'refund_due')::timestamptz FROM decisions decided
            WHERE decided.return_id = r.return_id ORDER BY decided.sequence DESC LIMIT 1) AS due
    FROM deadlines d JOIN returns r ON r.return_id = d.subject
    WHERE d.name = 'wait' AND r.state IN ('approved', 'awaiting_review') AND NOT r.test
) owed WHERE due IS NOT NULL GROUP BY 2
"""
# The whole table, so only now and then: every return is over, or waits with a deadline.
WAITING_ON_NOBODY = """
SELECT 'returns_waiting_on_nobody' AS gauge, '{}'::text[] AS labels, count(*)::float8 AS value
FROM returns r
WHERE r.until IS NOT NULL AND r.until < $1::timestamptz - interval '1 hour' AND NOT EXISTS (
    SELECT FROM deadlines d WHERE d.name = 'wait' AND d.subject = r.return_id)
"""
READINGS = (
    Reading(sql=UNDER_WAY, gauges=(OPEN, OVERDUE, OLDEST), every=timedelta(seconds=30)),
    Reading(sql=DUE_BY_LAW, gauges=(REFUNDS_DUE,), every=timedelta(minutes=5)),
    Reading(sql=WAITING_ON_NOBODY, gauges=(NOBODY,), every=timedelta(hours=1)),
)
