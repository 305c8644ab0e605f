"""Accounts that share something, claims of "not received", and what people decided before."""

from services.chassis.schema.revision import execute, grant

revision = "commerce_0003"
down_revision = "commerce_0002"

TABLES = """
ALTER TABLE orders
    -- Disputes that say "not received" although a carrier has scanned the delivery.
    ADD COLUMN not_received integer NOT NULL DEFAULT 0,
    -- Digests of the address, phone and card of the order.
    ADD COLUMN fingerprints text[] NOT NULL DEFAULT '{}';

-- Which accounts share an address, a phone or a card. Digests only, one row for each account.
CREATE TABLE links (
    fingerprint text NOT NULL,
    customer_id text NOT NULL,
    PRIMARY KEY (fingerprint, customer_id)
);

-- What people decided about cases, to be shown beside the next one like it. Only ever added to.
CREATE TABLE verdicts (
    return_id text NOT NULL,
    sequence integer NOT NULL,
    asked_because text NOT NULL,
    decided text NOT NULL CHECK (decided IN ('approve', 'reject', 'adjust')),
    reason text NOT NULL,
    skus text[] NOT NULL,
    calculated bigint NOT NULL,
    paid bigint NOT NULL,
    currency text NOT NULL,
    decided_at timestamptz NOT NULL,
    PRIMARY KEY (return_id, sequence)
);
CREATE INDEX verdicts_alike ON verdicts (asked_because, decided_at DESC);
"""


def upgrade() -> None:
    execute(TABLES)
    grant("links", "SELECT, INSERT, DELETE")
    grant("verdicts", "SELECT, INSERT")
