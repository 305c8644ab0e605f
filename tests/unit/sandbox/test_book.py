"""The outside world's memory: all or nothing per piece of work, and nobody is told too early."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.sandbox import carrier
from services.sandbox.book import Book
from services.sandbox.pages import Pages

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def book(tmp_path: Path) -> AsyncIterator[Book]:
    made = Book(tmp_path / "world.sqlite")
    yield made
    made.close()


def entries(book: Book) -> list[dict[str, int]]:
    kept: list[dict[str, int]] = json.loads(book.pages.entries())
    return kept


def enter(number: int, *, fail: bool = False) -> object:
    def work(pages: Pages) -> int:
        pages.enter({"number": number})
        if fail:
            raise ValueError("refused")
        return number

    return work


async def test_work_that_fails_is_undone_and_its_neighbours_stay(book: Book) -> None:
    together = [book.write(enter(n, fail=n % 3 == 0)) for n in range(30)]  # type: ignore[arg-type]
    results = await asyncio.gather(*together, return_exceptions=True)
    assert [each for each in results if isinstance(each, int)] == [n for n in range(30) if n % 3]
    assert [entry["number"] for entry in entries(book)] == [n for n in range(30) if n % 3]


async def test_whoever_gives_up_does_not_stop_the_others(book: Book) -> None:
    gone = asyncio.ensure_future(book.write(enter(1)))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    gone.cancel()
    assert await book.write(enter(2)) == 2  # type: ignore[arg-type]
    assert {entry["number"] for entry in entries(book)} == {1, 2}


async def test_a_commit_that_fails_is_told_to_everybody(book: Book) -> None:
    blocker = sqlite3.connect(
        book.pages._database.execute("PRAGMA database_list").fetchone()[2], isolation_level=None
    )
    book._writer.execute("PRAGMA busy_timeout = 1")
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError):
        await book.write(enter(1))  # type: ignore[arg-type]
    blocker.execute("ROLLBACK")
    blocker.close()
    assert await book.write(enter(2)) == 2  # type: ignore[arg-type]
    assert [entry["number"] for entry in entries(book)] == [2]


async def test_what_was_answered_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    first = Book(tmp_path / "world.sqlite")
    await asyncio.gather(*(first.write(enter(n)) for n in range(100)))  # type: ignore[arg-type]
    second = Book(tmp_path / "world.sqlite")  # the first one was never closed
    assert len(entries(second)) == 100
    second.close()
    first.close()


async def test_two_parcels_never_share_a_tracking_number(book: Book) -> None:
    def two(pages: Pages) -> tuple[str, str]:
        number = carrier.free_number(pages, "one")
        pages.put("tracking", number, {"reference": "somebody else's"})
        return number, carrier.free_number(pages, "one")

    taken, other = await book.write(two)
    assert taken != other


@pytest.mark.parametrize("reference", ["a", "b", "return-1", "ü"])
async def test_tracking_numbers_carry_their_check_digit(reference: str) -> None:
    number = carrier.tracking_number(reference)
    digits = [int(each) for each in number[2:10]]
    total = sum(w * d for w, d in zip((8, 6, 4, 2, 3, 5, 9, 7), digits, strict=True))
    expected = 11 - total % 11
    assert int(number[10]) == {10: 0, 11: 5}.get(expected, expected)
    assert number == carrier.tracking_number(reference)
