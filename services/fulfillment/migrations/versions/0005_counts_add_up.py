"""The database itself refuses a return whose counts do not add up."""

from alembic import op

revision = "fulfillment_0005"
down_revision = "fulfillment_0004"

# Fields that have their default are not in the document. NOT VALID: rows of the release before
# are not read again, which would lock the table; they are checked when they are next written.
CONSTRAINT = """
CREATE FUNCTION counts_add_up(document jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(bool_and(
        assigned >= 0 AND back >= 0 AND assigned + back <= greatest(counted, graded)), true)
    FROM (
        SELECT coalesce((count->>'counted')::bigint, 0) AS counted,
               coalesce((count->>'graded')::bigint, 0) AS graded,
               coalesce((count->>'assigned')::bigint, 0) AS assigned,
               coalesce((count->>'back')::bigint, 0) AS back
        FROM jsonb_array_elements(coalesce(document->'counts', '[]')) AS count
    ) AS counts
$$;

-- Units and what went back are never more than the warehouse reported.
ALTER TABLE returns ADD CONSTRAINT returns_counts_add_up
    CHECK (counts_add_up(document)) NOT VALID;
"""


def upgrade() -> None:
    op.execute(CONSTRAINT)
