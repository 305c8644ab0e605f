"""What a message means for the money of an order: pure, total, returns data.

`orders` (what was captured) - `assessment` (what could be refunded) - `reservation` - `release` -
`outcome` (what came of a submission) - `disputes` - `legs` (points, tax) - `hints` (webhooks,
polls) - `reversal`. Each takes the order's money, a message and `Facts`, and returns a
`MoneyDecision`.
"""
