"""Orders, returns, decisions and quotes."""

from services.chassis.schema.revision import execute, grant

revision = "commerce_0002"
down_revision = "commerce_0001"

TABLES = """
-- Orders as they stand, with what SQL has to see of them.
CREATE TABLE orders (
    order_id text PRIMARY KEY,
    version bigint NOT NULL,
    order_number text NOT NULL,
    email text NOT NULL,
    customer_id text NOT NULL,
    placed_at timestamptz NOT NULL,
    currency text NOT NULL,
    value bigint NOT NULL,
    disputes_counted integer NOT NULL DEFAULT 0,
    -- Payments under an open dispute.
    disputes text[] NOT NULL,
    document json NOT NULL
);
CREATE INDEX orders_order_number ON orders (lower(order_number));
CREATE INDEX orders_customer ON orders (customer_id, placed_at);

-- One return: `document` is the process, small; its papers are columns of their own, as text that
-- is parsed only when somebody reads it.
CREATE TABLE returns (
    return_id text PRIMARY KEY,
    order_key text NOT NULL,
    order_id text,
    customer_id text,
    state text NOT NULL CHECK (state IN ('requested', 'assessing', 'approved', 'rejected',
        'awaiting_review', 'cancelled', 'expired')),
    status text NOT NULL,
    waiting_on text NOT NULL,
    until timestamptz,
    requested_at timestamptz NOT NULL,
    test boolean NOT NULL,
    value bigint NOT NULL,
    approved bigint NOT NULL DEFAULT 0,
    released bigint NOT NULL DEFAULT 0,
    currency text,
    skus text[] NOT NULL,
    reason text NOT NULL,
    abuse boolean NOT NULL,
    claim_number text,
    document jsonb NOT NULL,
    request json NOT NULL,
    facts json NOT NULL,
    -- Nobody waits for nobody: what is not over waits on a named party until an instant.
    CONSTRAINT returns_wait_on_somebody CHECK (
        (until IS NOT NULL) = (waiting_on <> 'none')),
    -- Released over all methods is never more than approved.
    CONSTRAINT returns_release_what_was_approved CHECK (released <= approved)
);
-- Papers lie outside the row, so that a change of the process does not write them again; the row
-- itself stays small, with room on its page for its next version.
ALTER TABLE returns ALTER COLUMN request SET STORAGE EXTERNAL;
ALTER TABLE returns ALTER COLUMN facts SET STORAGE EXTERNAL;
ALTER TABLE returns ALTER COLUMN document SET STORAGE MAIN;
ALTER TABLE returns SET (toast_tuple_target = 256, fillfactor = 70);
CREATE INDEX returns_order_key ON returns (order_key);
CREATE INDEX returns_customer ON returns (customer_id, requested_at) WHERE NOT test;
CREATE INDEX returns_claims ON returns (claim_number)
    WHERE claim_number IS NOT NULL AND order_id IS NULL;

-- Every decision that was ever made, with everything that it rests on. Only ever added to.
CREATE TABLE decisions (
    return_id text NOT NULL,
    sequence integer NOT NULL,
    order_key text NOT NULL,
    outcome text NOT NULL,
    decided_at timestamptz NOT NULL,
    document json NOT NULL,
    PRIMARY KEY (return_id, sequence)
);

-- What was quoted, to be compared with what is decided.
CREATE TABLE quotes (
    quote_id text PRIMARY KEY,
    order_id text,
    total bigint NOT NULL,
    currency text,
    valid_until timestamptz NOT NULL,
    given_at timestamptz NOT NULL,
    document json NOT NULL
);
CREATE INDEX quotes_given_at ON quotes (given_at);
"""


def upgrade() -> None:
    execute(TABLES)
    for table in ("orders", "returns"):
        grant(table, "SELECT, INSERT, UPDATE, DELETE")
    grant("decisions", "SELECT, INSERT")
    grant("quotes", "SELECT, INSERT, DELETE")
