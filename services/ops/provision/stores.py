"""A database and two roles per service: one owns and migrates it, the other runs with what
migrations grant. No role may even connect to another service's database."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from services.chassis import environment
from services.chassis.settings import Settings
from services.ops.console import Refused, say
from services.ops.stack import WITH_A_STORE

SUPERUSER = "POSTGRES_URL"
CONNECT_SECONDS_MAX = 30
RUNTIME_CONNECTIONS_MAX = 40
"""Per service: a process holds three, so this is room for a dozen instances and an operator."""

EXISTS_ROLE = "SELECT 1 FROM pg_roles WHERE rolname = %s"
EXISTS_DATABASE = "SELECT 1 FROM pg_database WHERE datname = %s"
CREATE_ROLE = sql.SQL("CREATE ROLE {} LOGIN")
SET_PASSWORD = sql.SQL("ALTER ROLE {} PASSWORD {}")
LIMIT_CONNECTIONS = sql.SQL("ALTER ROLE {} CONNECTION LIMIT {}")
CREATE_DATABASE = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'")
# Every role may connect everywhere unless that is taken away.
CLOSE_DATABASE = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC")
OPEN_DATABASE = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")

Connection = psycopg.Connection[tuple[object, ...]]


def provide() -> None:
    """Create what is missing and set passwords. Raises Refused when the server does not let us."""
    url = environment.read(SUPERUSER)
    if not url:
        raise Refused(f"{SUPERUSER} is not set: name the server and a role that may create roles")
    settings = Settings()
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX) as server:
            for service in WITH_A_STORE:
                runtime = settings.database_url(service)
                owner = environment.read(f"{service.upper()}_MIGRATION_DATABASE_URL")
                _provide(server, runtime=runtime, owner=owner or runtime)
    except psycopg.Error as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Refused(f"{SUPERUSER}: {said}") from None
    say(f"{len(WITH_A_STORE)} databases are in place, each with two roles of its own")


def _provide(server: Connection, *, runtime: str, owner: str) -> None:
    """One service's database, and the roles that its two URLs name."""
    database = urlsplit(runtime).path.lstrip("/")
    roles = {_user(url): _password(url) for url in (owner, runtime)}
    for user, password in roles.items():
        if server.execute(EXISTS_ROLE, (user,)).fetchone() is None:
            server.execute(CREATE_ROLE.format(sql.Identifier(user)))
        if password:
            server.execute(SET_PASSWORD.format(sql.Identifier(user), sql.Literal(password)))
    role, name = sql.Identifier(_user(runtime)), sql.Identifier(database)
    server.execute(LIMIT_CONNECTIONS.format(role, sql.Literal(RUNTIME_CONNECTIONS_MAX)))
    if server.execute(EXISTS_DATABASE, (database,)).fetchone() is None:
        server.execute(CREATE_DATABASE.format(name, sql.Identifier(_user(owner))))
    server.execute(CLOSE_DATABASE.format(name))
    server.execute(OPEN_DATABASE.format(name, role))


def _user(url: str) -> str:
    return unquote(urlsplit(url).username or "postgres")


def _password(url: str) -> str | None:
    password = urlsplit(url).password
    return None if password is None else unquote(password)
