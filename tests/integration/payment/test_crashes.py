"""SIGKILL at every named place of the payment service, under every behaviour of the processor.

A real process over a real broker, store and processor, killed in the middle of each cell's work
and started again; afterwards every cell has ended as its behaviour says: the state, the
processor's book, the amounts, what was told. All places: ``KILL_MATRIX=all`` or
`make payment-matrix`; `make test` takes those of SAMPLE.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from services.payment.model import RefundState, ReversalState
from services.sandbox.behaviours import BEHAVIOURS
from tests.conftest import Bus
from tests.integration.payment.killing import (
    AMOUNT,
    REVERSED,
    Cell,
    Killed,
    Place,
    Told,
    surroundings,
)
from tests.payments import Sandbox
from tests.stores import NewStore
from tests.waiting import wait_for

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(480)]

PLACES = (
    Place(checkpoint="before_commit", message="RefundReleased"),
    Place(checkpoint="after_commit", message="RefundReleased"),
    Place(checkpoint="before_effect"),
    Place(checkpoint="after_claim"),
    Place(checkpoint="after_submit"),
    Place(checkpoint="after_effect"),
    Place(checkpoint="before_commit", message="RefundSubmitted"),
    Place(checkpoint="after_commit", message="RefundSubmitted"),
    Place(checkpoint="after_publish"),
    Place(checkpoint="after_charge", of_reversals=True),
)
SAMPLE = ("after_submit",)
CHOSEN = tuple(
    each for each in PLACES if os.environ.get("KILL_MATRIX") == "all" or each.name in SAMPLE
)
ENDS_SECONDS_MAX = 150


@dataclass(frozen=True, kw_only=True)
class End:
    """What has become of a cell: the state here, the book there, the end as it was told."""

    state: RefundState | ReversalState
    book: tuple[str, ...]
    told: tuple[str, ...]
    settled: int = 0
    reserved: int = 0
    taxes: tuple[int, ...] = ()


PAID = End(
    state=RefundState.SETTLED,
    book=("refund",),
    told=("RefundSettled",),
    settled=AMOUNT,
    taxes=(1200,),
)
FAILED_LATER = End(
    state=RefundState.SETTLEMENT_FAILED,
    book=("refund", "refund_failed"),
    told=("RefundSettled", "RefundFailed"),
    reserved=AMOUNT,
    taxes=(1200, -1200),
)
REFUND_ENDS = dict.fromkeys(BEHAVIOURS, (PAID,)) | {
    "declined": (End(state=RefundState.REFUSED, book=(), told=("RefundFailed",), reserved=AMOUNT),),
    # Who is dead while it is settled sees it only when it has failed.
    "fails_later": (FAILED_LATER, replace(FAILED_LATER, told=("RefundFailed",), taxes=())),
}
CHARGED = End(
    state=ReversalState.SETTLED,
    book=("charge",),
    told=("RefundSettled", "ReversalSettled"),
    settled=AMOUNT,
    taxes=(1200, -270),  # 5000 of 22200
)
REVERSAL_ENDS = dict.fromkeys(BEHAVIOURS, (CHARGED,)) | {
    # The key replays its 500 for 20 h; only then is it certain that nothing was charged.
    "error_500_stored": (
        End(
            state=ReversalState.CHARGING,
            book=(),
            told=("RefundSettled",),
            settled=AMOUNT,
            taxes=(1200,),
        ),
    )
}
TOLD = ("RefundSettled", "RefundFailed", "ReversalSettled", "ReversalRefused")


@pytest_asyncio.fixture
async def killed(
    bus: Bus, new_store: NewStore, sandbox: Sandbox, payment_port: int, tmp_path: Path
) -> AsyncIterator[Killed]:
    url = new_store("payment").runtime_url
    async with surroundings(bus, url, sandbox, payment_port, tmp_path) as made:
        yield made


def ends_of(cell: Cell) -> tuple[End, ...]:
    return (REVERSAL_ENDS if cell.place.of_reversals else REFUND_ENDS)[cell.behaviour]


async def state_of(killed: Killed, cell: Cell) -> RefundState | ReversalState | None:
    order = await killed.order(cell)
    if cell.place.of_reversals:
        reversal = order.reversals.get(cell.reversal_id)
        return reversal.state if reversal is not None else None
    refund = order.refunds.get(cell.refund_id)
    return refund.state if refund is not None else None


async def test_whenever_the_process_is_killed_every_refund_ends_as_it_must(killed: Killed) -> None:
    cells = [Cell(place=place, behaviour=each) for place in CHOSEN for each in BEHAVIOURS]
    await killed.prepare(cells)
    for place in CHOSEN:
        await killed.die_at(place, [each for each in cells if each.place is place])
    async with killed.working() as client:

        async def unfinished() -> list[str]:
            return [
                f"{cell.place.name}/{cell.behaviour}"
                for cell in cells
                if await state_of(killed, cell) is not ends_of(cell)[0].state
            ]

        async def finished() -> bool:
            left = await killed.store.fetchval("SELECT count(*) FROM outbox")
            return left == 0 and not await unfinished()

        try:
            await wait_for(finished, seconds=ENDS_SECONDS_MAX, what="the end of every cell")
        except AssertionError as error:
            raise AssertionError(f"{error}: {await unfinished()}") from error
        report = (await client.get("/reconciliation")).raise_for_status().json()
    # Other tests take reversals at the same processor, which this store cannot know.
    own = {cell.reversal_id for cell in cells} | {None}
    assert [each for each in report["differences"] if each["reversal_id"] in own] == []
    told = await killed.told()
    for cell in cells:
        await assert_it_ended_well(killed, cell, told[cell.order_id])
    await assert_nothing_is_left_over(killed)


async def assert_it_ended_well(killed: Killed, cell: Cell, told: list[Told]) -> None:
    book = killed.sandbox.book(cell.reference)
    row = await killed.store.fetchrow(
        "SELECT * FROM payment_balances WHERE order_id = $1", cell.order_id
    )
    found = End(
        state=await state_of(killed, cell) or RefundState.NONE,
        book=tuple(entry["kind"] for entry in book),
        told=tuple(each.kind for each in told if each.kind in TOLD),
        settled=row["settled"],
        reserved=row["reserved"],
        taxes=tuple(each.body["tax"] for each in told if each.kind == "TaxReversalRecorded"),
    )
    where = f"{cell.place.name}/{cell.behaviour}"
    assert found in ends_of(cell), where
    assert (row["pending"], row["unknown"], row["captured"]) == (0, 0, AMOUNT), where
    name, moved = ("reversal_id", REVERSED) if cell.place.of_reversals else ("refund_id", AMOUNT)
    for entry in book:
        assert (entry["amount"], entry["currency"]) == (moved, "USD"), where
        assert entry["metadata"][name] == cell.watched, where
    for each in told:
        if each.kind in TOLD:
            wanted = REVERSED if each.kind.startswith("Reversal") else AMOUNT
            assert each.body["amount"] == wanted, where


async def assert_nothing_is_left_over(killed: Killed) -> None:
    assert await killed.store.fetchval("SELECT count(*) FROM quarantine") == 0
    numbers = await killed.store.fetch("SELECT ordinal FROM credit_notes ORDER BY ordinal")
    assert [row["ordinal"] for row in numbers] == list(range(1, len(numbers) + 1))
    doubled = await killed.store.fetch(
        "SELECT refund_id, attempt, tries FROM submissions GROUP BY 1, 2, 3 HAVING count(*) > 1"
    )
    assert doubled == []
