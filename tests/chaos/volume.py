"""A small volume for one service's tables, so that its disk can be full.

It is mounted in a mount namespace of this process and its children: the kernel takes it away with
the last of them, however they end.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg import sql

from services.ops.embedded import postgres
from services.ops.embedded.postgres import Database, Server

SERVICE = "payment"
"""Whose tables lie there."""
SIZE = "size=128m"
CLONE_NEWNS = 0x00020000
PIECE = bytes(1 << 20)
SCRAP = bytes(512)


def mount(folder: Path) -> str | None:
    """Mount it; else why that is not possible. Only the calling thread and its children see it."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "only root may mount a small volume, and only on Linux"
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    folder.mkdir(parents=True)
    for command in (
        ("mount", "--make-rprivate", "/"),
        ("mount", "-t", "tmpfs", "-o", SIZE, "tmpfs", str(folder)),
    ):
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        if done.returncode != 0:
            return f"{' '.join(command)}: {done.stderr.strip()}"
    return None


def unmount(folder: Path) -> None:
    """Give it back, so that its place can be removed."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def hold(folder: Path, server: Server, database: Database) -> None:
    """Have the tables of a database there; the server's own log stays where it is."""
    place = folder / "tables"
    place.mkdir()
    if postgres.wrapper() == postgres.NOBODY:
        subprocess.run(["chown", "nobody", str(place)], check=True)
    server.execute(
        sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(place))),
        sql.SQL("ALTER DATABASE {} SET TABLESPACE small").format(sql.Identifier(database.service)),
    )


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """Not a byte is left on it, for the length of a block."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for piece in (PIECE, SCRAP):
            with suppress(OSError):
                while file.write(piece) == len(piece):
                    pass
    try:
        yield
    finally:
        ballast.unlink()
