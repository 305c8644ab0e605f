"""`python -m services.chassis.migrate SERVICE…`: brings stores up to date; safe to run twice.

Revisions lie in `services/<name>/migrations/versions`, later ones of the chassis's own tables in
`services/chassis/schema/versions`; they are plain SQL. They run as the migrator's role
(``<SERVICE>_MIGRATION_DATABASE_URL``, else ``<SERVICE>_DATABASE_URL``); rights are granted to the
role named in ``<SERVICE>_DATABASE_URL``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from services.chassis import environment
from services.chassis.settings import Settings

MIGRATION_LOCK = 0x0B0C6
SERVICES = Path(__file__).resolve().parent.parent
SCHEMA = Path(__file__).resolve().parent / "schema"
SERVICE_LINE, CHASSIS_LINE = "alembic_version", "chassis_version"
"""Where a store notes how far each of its two lines of revisions has come."""


def migrate(
    service: str,
    url: str,
    runtime_role: str,
    *,
    versions: Path | None = None,
    to: tuple[str, str | None] = ("head", "head"),
) -> None:
    """Apply every revision that is missing. Concurrent runs wait for each other.

    `to`: only the service's and the chassis's revisions up to these, as an earlier version left
    its store; None: none of the chassis's.
    """
    from sqlalchemy import create_engine, text
    from sqlalchemy.pool import NullPool

    versions = versions or SERVICES / service / "migrations" / "versions"
    if not versions.is_dir():
        raise SystemExit(f"{service} has no migrations: expected them in {versions}")
    engine = create_engine(_sqlalchemy_url(url), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        # In this order: a service's first revision makes the chassis's tables.
        lines = ((SERVICE_LINE, versions), (CHASSIS_LINE, SCHEMA / "versions"))
        for (line, folder), end in zip(lines, to, strict=True):
            if end is not None:
                _upgrade(folder, end, connection=connection, runtime_role=runtime_role, line=line)


def _upgrade(versions: Path, to: str, **attributes: Any) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    # The configuration's own interpolation takes a % in a path for itself.
    config.set_main_option("script_location", _escaped(SCHEMA))
    config.set_main_option("version_locations", _escaped(versions))
    config.set_main_option("path_separator", "os")
    config.attributes.update(attributes)
    command.upgrade(config, to)


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


def _sqlalchemy_url(url: str) -> str:
    scheme, rest = url.split("://", 1)
    if scheme not in ("postgresql", "postgres"):
        raise SystemExit(f"a database URL starts with postgresql://, not {scheme}://")
    return f"postgresql+psycopg://{rest}"


def role_of(url: str) -> str:
    """The login role that a database URL names."""
    return unquote(urlsplit(url).username or "postgres")


def main() -> None:
    settings = Settings()
    names = sys.argv[1:] or ["commerce", "fulfillment", "payment", "gateway"]
    for name in names:
        runtime_url = settings.database_url(name)
        url = environment.read(f"{name.upper()}_MIGRATION_DATABASE_URL") or runtime_url
        migrate(name, url, role_of(runtime_url))


if __name__ == "__main__":
    main()
