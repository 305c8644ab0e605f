"""The read model of returns and orders, and the idempotency keys of POST /returns."""

from alembic import op

from services.chassis.schema.revision import grant

revision = "0002"
down_revision = "0001"

TABLES = """
-- What the gateway needs to know of an order: which version is the newest, and whose it is.
CREATE TABLE orders (
    order_id text PRIMARY KEY,
    version bigint NOT NULL,
    customer_id text NOT NULL
);
CREATE INDEX orders_customer_id ON orders (customer_id);

-- The head of each return: what lists and filters see. `seq` orders pages and never changes.
CREATE TABLE returns (
    return_id text PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    first_seen timestamptz NOT NULL DEFAULT now(),
    order_id text,
    requester_id text,
    status text NOT NULL,
    number integer NOT NULL DEFAULT 0,
    changed integer NOT NULL DEFAULT 0,
    content_sha256 text
) WITH (fillfactor = 80);
CREATE INDEX returns_status ON returns (status, seq DESC);
CREATE INDEX returns_order_id ON returns (order_id, seq DESC);
CREATE INDEX returns_requester_id ON returns (requester_id) WHERE requester_id IS NOT NULL;

-- What was said of each return, in the order in which it was received; only ever appended to.
-- The answer to a GET is folded from these.
CREATE TABLE facts (
    return_id text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    type text NOT NULL,
    payload text NOT NULL,
    PRIMARY KEY (return_id, seq)
);
CREATE UNIQUE INDEX facts_first_request ON facts (return_id) WHERE type = 'ReturnRequest';

-- Which body a caller's key was used for. Dropped after 30 days.
CREATE TABLE idempotency_keys (
    caller text NOT NULL,
    key text NOT NULL,
    body_sha256 text NOT NULL,
    return_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);
"""


def upgrade() -> None:
    op.execute(TABLES)
    grant("orders", "SELECT, INSERT, UPDATE, DELETE")
    grant("returns", "SELECT, INSERT, UPDATE, DELETE")
    grant("facts", "SELECT, INSERT, DELETE")
    grant("idempotency_keys", "SELECT, INSERT, DELETE")
