from services.chassis.schema.revision import execute

# The chassis's own line of revisions, the same in every service's store. It goes on where the
# service's first revision, which makes the tables, ended.
revision = "chassis_0002"
down_revision = None


def upgrade() -> None:
    execute("ALTER TABLE quarantine ADD COLUMN mended bytea")
