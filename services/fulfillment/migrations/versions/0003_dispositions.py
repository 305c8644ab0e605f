"""Two more ways in which a unit is disposed of: sold off in bulk, and recycled."""

from alembic import op

revision = "fulfillment_0003"
down_revision = "fulfillment_0002"

# The new conditions allow all that the old ones did: a process of the release before goes on.
CONDITIONS = """
ALTER TABLE units
    DROP CONSTRAINT units_state_check,
    DROP CONSTRAINT units_inspected_have_a_grade,
    DROP CONSTRAINT units_in_hand_once,
    ADD CONSTRAINT units_state_check CHECK (state IN (
        'none', 'authorised', 'label_issued', 'in_transit', 'delivered', 'received', 'inspected',
        'restocked', 'refurbish', 'liquidated', 'recycled', 'disposed', 'sent_back', 'lost',
        'short_shipped', 'wrong_item', 'never_sent', 'not_required')),
    ADD CONSTRAINT units_inspected_have_a_grade CHECK (grade IS NOT NULL OR state NOT IN (
        'inspected', 'restocked', 'refurbish', 'liquidated', 'recycled', 'wrong_item')),
    ADD CONSTRAINT units_in_hand_once EXCLUDE USING btree
        (order_id WITH =, line_id WITH =, ordinal WITH =)
        WHERE (state IN ('received', 'inspected', 'restocked', 'refurbish', 'liquidated',
                         'recycled', 'disposed'))
        DEFERRABLE INITIALLY DEFERRED;
"""


def upgrade() -> None:
    op.execute(CONDITIONS)
