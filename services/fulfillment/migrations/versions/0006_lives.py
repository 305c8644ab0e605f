"""A replacement is a thing of its own: in place of a unit that came back, it can come back too."""

from alembic import op

from services.chassis.schema.revision import grant

revision = "fulfillment_0006"
down_revision = "fulfillment_0005"

# A process of the release before writes no replacement: what it writes is what was sold. A column
# that may be empty is added without reading the table.
LIVES = """
-- One row for every thing that was shipped in place of a unit; written once, never changed.
CREATE TABLE replaced_units (
    order_id text NOT NULL,
    line_id text NOT NULL,
    ordinal integer NOT NULL,
    -- 1 is what was sold; each replacement begins the next.
    life integer NOT NULL CHECK (life > 1),
    -- The return whose replacement it is.
    return_id text NOT NULL,
    sku text NOT NULL,
    PRIMARY KEY (order_id, line_id, ordinal, life)
);

ALTER TABLE units
    -- The life of a thing that was sent in place of another; empty for what was sold.
    ADD COLUMN replacement integer,
    ADD CONSTRAINT units_replacement_was_shipped
        FOREIGN KEY (order_id, line_id, ordinal, replacement)
        REFERENCES replaced_units (order_id, line_id, ordinal, life)
        DEFERRABLE INITIALLY DEFERRED,
    DROP CONSTRAINT units_in_hand_once,
    ADD CONSTRAINT units_in_hand_once EXCLUDE USING btree
        (order_id WITH =, line_id WITH =, ordinal WITH =,
         coalesce(replacement, 1) WITH =)
        WHERE (state IN ('received', 'inspected', 'restocked', 'refurbish', 'liquidated',
                         'recycled', 'disposed'))
        DEFERRABLE INITIALLY DEFERRED;
"""


def upgrade() -> None:
    op.execute(LIVES)
    grant("replaced_units", "SELECT, INSERT")
