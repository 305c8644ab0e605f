"""What auditors read. Nothing here writes, so nothing here takes a lock."""

from __future__ import annotations

# Our refunds to the original method: of a window, or named by the processor. The last move
# tells the state; a refund that moves while we read is read before or after, never in between.
REFUNDS = """
SELECT i.refund_id, i.return_id, i.order_id, i.payment_id, i.amount, i.currency, i.test, i.at,
    m.state, m.processor_reference, m.at AS moved_at, p.processor, p.processor_reference AS payment
FROM refund_intents AS i
JOIN LATERAL (SELECT state, processor_reference, at FROM refund_moves
              WHERE refund_id = i.refund_id ORDER BY seq DESC LIMIT 1) AS m ON true
LEFT JOIN LATERAL (SELECT processor, processor_reference FROM payments
                   WHERE order_id = i.order_id AND payment_id = i.payment_id
                   ORDER BY processor_reference LIMIT 1) AS p ON true
WHERE i.method = 'original_payment_method'
    AND (i.at >= $1 AND i.at < $2 OR i.refund_id = ANY($3::text[]))
ORDER BY i.at
"""
# Reversals by a new charge: booked since an instant, or of orders that the processor named; with
# what the refunds of their return have paid, and what its reversals have taken back.
REVERSALS = """
SELECT o.order_id, o.currency, r.value AS reversal,
    (SELECT coalesce(sum((f.value ->> 'amount')::bigint), 0)::bigint
     FROM jsonb_each(coalesce(o.document -> 'refunds', '{}'::jsonb)) AS f
     WHERE f.value ->> 'return_id' = r.value ->> 'return_id'
         AND f.value ->> 'state' = 'settled') AS paid,
    (SELECT coalesce(sum((t.value ->> 'amount')::bigint), 0)::bigint
     FROM jsonb_each(o.document -> 'reversals') AS t
     WHERE t.value ->> 'return_id' = r.value ->> 'return_id'
         AND t.value ->> 'state' = 'settled') AS taken
FROM order_money AS o, jsonb_each(coalesce(o.document -> 'reversals', '{}'::jsonb)) AS r
WHERE r.value ->> 'method' = 'charge' AND (o.order_id = ANY($2::text[]) OR o.order_id IN
    (SELECT order_id FROM ledger WHERE book = 'reversal' AND at >= $1))
"""
# Which of these references are payments of orders that we know.
KNOWN_PAYMENTS = """
SELECT DISTINCT processor_reference FROM payments WHERE processor_reference = ANY($1::text[])
"""
# One refund, as it was released.
INTENT = "SELECT * FROM refund_intents WHERE refund_id = $1"
# Its history, oldest first.
MOVES = "SELECT * FROM refund_moves WHERE refund_id = $1 ORDER BY seq"
# Who took the right to submit it, and when.
SUBMISSIONS = "SELECT * FROM submissions WHERE refund_id = $1 ORDER BY attempt, tries"
# What it moved in the ledger.
LEDGER = "SELECT * FROM ledger WHERE refund_id = $1 ORDER BY seq"
# Its credit notes.
NOTES = "SELECT * FROM credit_notes WHERE refund_id = $1 ORDER BY series, ordinal"
# The store credit that paid it, if any.
CREDITS = "SELECT * FROM store_credits WHERE refund_id = $1"
# The payment as the order names it.
PAYMENT = """
SELECT document -> 'payments' AS payments FROM order_money WHERE order_id = $1
"""
# Every refund of a return.
OF_RETURN = "SELECT refund_id FROM refund_intents WHERE return_id = $1 ORDER BY at, refund_id"
# For the tax tool: one row per credit note, in the order of their numbers.
TAX_REVERSALS = """
SELECT number, period, order_id, return_id, refund_id, original_reference, rate_bps, net, tax,
    currency, test, at
FROM credit_notes WHERE ($1::text IS NULL OR period = $1) ORDER BY series, ordinal
"""
# What a customer holds, per currency.
STORE_CREDIT = """
SELECT unit AS currency, balance FROM account_balances
WHERE book = 'store_credit' AND holder = $1 AND NOT test ORDER BY unit
"""
