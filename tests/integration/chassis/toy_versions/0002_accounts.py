from services.chassis.schema.revision import execute, grant

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    execute("CREATE TABLE accounts (order_id text PRIMARY KEY, document jsonb NOT NULL)")
    grant("accounts", "SELECT, INSERT, UPDATE")
