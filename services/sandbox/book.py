"""What the outside world remembers, in a file that survives `kill -9` and a power cut.

Objects are JSON documents by kind and id; the book of money is append-only.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from services.sandbox.pages import SCHEMA, Pages

Result = TypeVar("Result")
Work = Callable[[Pages], Any]

TOGETHER_MAX = 500
"""So many pieces of work share a commit at most."""


class Book:
    """One SQLite file. Work is done one piece after the other, and answered when it is on disk.

    A thread takes all work that waits, does each piece under a savepoint, and commits them
    together: one fsync for many callers, and none of them is told before it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = _connection(path)
        self._writer.execute("PRAGMA journal_mode=WAL")
        self._writer.execute("PRAGMA synchronous=FULL")
        self._writer.executescript(SCHEMA)
        self._reader = _connection(path)
        self.pages = Pages(self._reader)
        """What is committed, for reading inside the event loop."""
        self._waiting: queue.SimpleQueue[tuple[Work, asyncio.Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._work, name="book", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what waits and close the file."""
        self._waiting.put(None)
        self._thread.join()
        self._writer.close()
        self._reader.close()

    async def write(self, work: Callable[[Pages], Result]) -> Result:
        """What `work` returns, once everything it wrote is durable. What it raises, it undid."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.put((work, future))
        return await future

    def _work(self) -> None:
        while True:
            taken = [self._waiting.get()]
            while len(taken) < TOGETHER_MAX and not self._waiting.empty():
                taken.append(self._waiting.get())
            self._commit([each for each in taken if each is not None])
            if None in taken:
                return

    def _commit(self, batch: list[tuple[Work, asyncio.Future[Any]]]) -> None:
        if not batch:
            return
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            done = [(future, *self._try(work)) for work, future in batch]
            self._writer.execute("COMMIT")
        except sqlite3.Error as error:  # a full disk, for instance: nobody is told that it worked
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            done = [(future, None, error) for _, future in batch]
        loop = batch[0][1].get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_tell, done)

    def _try(self, work: Work) -> tuple[Any, Exception | None]:
        pages = Pages(self._writer)
        try:
            with pages.all_or_nothing():
                return work(pages), None
        except Exception as raised:
            return None, raised


def _tell(done: list[tuple[asyncio.Future[Any], Any, Exception | None]]) -> None:
    for future, result, error in done:
        if future.done():  # whoever asked has gone
            continue
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)


def _connection(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)
