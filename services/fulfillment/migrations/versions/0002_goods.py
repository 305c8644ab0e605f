"""Orders, returns, units and parcels."""

from alembic import op

from services.chassis.schema.revision import grant

revision = "fulfillment_0002"
down_revision = "fulfillment_0001"

TABLES = """
-- The part of an order that goods depend on.
CREATE TABLE orders (
    order_id text PRIMARY KEY,
    version bigint NOT NULL,
    document jsonb NOT NULL
);

-- One return's goods: labels, parcels, counts. Its units are rows of their own.
CREATE TABLE returns (
    return_id text PRIMARY KEY,
    order_id text NOT NULL,
    standing text NOT NULL
        CHECK (standing IN ('requested', 'approved', 'escalated', 'rejected', 'closed')),
    document jsonb NOT NULL
);
CREATE INDEX returns_order_id ON returns (order_id);

-- Which return a parcel belongs to. Written under the order's lock, read without it.
CREATE TABLE parcels (
    tracking_number text PRIMARY KEY,
    return_id text NOT NULL,
    order_id text NOT NULL
);

-- Every thing by its ordinal within the order line.
CREATE TABLE units (
    return_id text NOT NULL REFERENCES returns DEFERRABLE INITIALLY DEFERRED,
    line_id text NOT NULL,
    ordinal integer NOT NULL,
    order_id text NOT NULL,
    sku text NOT NULL,
    sold integer NOT NULL,
    state text NOT NULL CHECK (state IN (
        'none', 'authorised', 'label_issued', 'in_transit', 'delivered', 'received', 'inspected',
        'restocked', 'refurbish', 'disposed', 'sent_back', 'lost', 'short_shipped', 'wrong_item',
        'never_sent', 'not_required')),
    grade text,
    defect_confirmed boolean,
    graded_sequence integer NOT NULL DEFAULT 0,
    paid boolean NOT NULL DEFAULT false,
    PRIMARY KEY (return_id, line_id, ordinal),
    -- No unit that was never sold.
    CONSTRAINT units_were_sold CHECK (ordinal BETWEEN 1 AND sold),
    -- Nothing is inspected without a grade.
    CONSTRAINT units_inspected_have_a_grade CHECK (
        grade IS NOT NULL OR state NOT IN ('inspected', 'restocked', 'refurbish', 'wrong_item')),
    -- One thing is in the warehouse once, however many returns name it. Checked at the end of
    -- the transaction, because a batch may move it from one return to another.
    CONSTRAINT units_in_hand_once EXCLUDE USING btree
        (order_id WITH =, line_id WITH =, ordinal WITH =)
        WHERE (state IN ('received', 'inspected', 'restocked', 'refurbish', 'disposed'))
        DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX units_order_id ON units (order_id);
"""


def upgrade() -> None:
    op.execute(TABLES)
    for table in ("orders", "returns", "parcels", "units"):
        grant(table, "SELECT, INSERT, UPDATE, DELETE")
