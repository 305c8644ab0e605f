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

-- One view per return. `seq` orders pages and never changes.
CREATE TABLE returns (
    return_id text PRIMARY KEY,
    seq bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    order_id text,
    requester_id text,
    status text NOT NULL,
    changed integer NOT NULL DEFAULT 0,
    content_sha256 text,
    document jsonb NOT NULL
);
CREATE INDEX returns_status ON returns (status, seq DESC);
CREATE INDEX returns_order_id ON returns (order_id, seq DESC);
CREATE INDEX returns_requester_id ON returns (requester_id) WHERE requester_id IS NOT NULL;

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
    grant("idempotency_keys", "SELECT, INSERT, DELETE")
