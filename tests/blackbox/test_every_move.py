"""Every row of the goods axis's table on the whole system, by nothing but the published calls.

A row is (state, event): a return of its own is brought into the state, then the event happens to
it, and fulfillment's history of the unit shows the step. What only time brings about runs in a
second system for which months pass in seconds; there the clock can overtake a slow machine, and a
row is then driven again with another return.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.fulfillment.transitions import MOVES
from tests.blackbox.conftest import sites
from tests.blackbox.world import (
    Json,
    Stranger,
    World,
    a_request,
    an_order,
    new_id,
    now,
    rfc3339,
    running,
    until,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(400)]

TIME_SCALE = "150000"
"""Three weeks, after which a parcel is lost, take twelve seconds."""
ATTEMPTS_MAX = 4
AT_ONCE_MAX = 12
LOOK_EVERY_SECONDS = 0.4
LOOKS_MAX = 100
KEPT, FAR = "KEPT", "DE"
POLICY = f"""
policy: moves
version: "1"
effective_from: 2020-01-01T00:00:00Z
rules:
  - id: kept
    when: {{sku: ["{KEPT}*"]}}
    set: {{keep_item_up_to: {{USD: 10000}}, refund_on: approval}}
"""
NOT_FROM_OUTSIDE = {
    **{
        (state, "exempted"): "an approval never changes whether the goods have to come back"
        for state in ("authorised", "label_issued", "short_shipped", "never_sent")
    },
    ("not_required", "authorised"): "an approval never changes whether the goods have to come back",
}
"""Rows that only another commerce could bring about, and why; integration/fulfillment/
test_every_move drives them through the handlers and the store."""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A system for which months pass quickly, and in which customers keep some things."""
    home: Path = tmp_path_factory.mktemp("moves")
    (home / "policy.yaml").write_text(POLICY)
    quickly = {"RETURNS_TIME_SCALE": TIME_SCALE, "POLICY_PATH": str(home / "policy.yaml")}
    with running(home, **sites(home), **quickly) as started:
        yield started


@dataclasses.dataclass(kw_only=True)
class Life:
    """One return of one order by a customer of their own."""

    stranger: Stranger
    country: str = "CA"
    sku: str = "JACKET-M"
    category: str = "apparel"
    quantity: int = 1
    behaviour: str = "ok"
    asks: Json = dataclasses.field(default_factory=dict)
    id_: str = ""
    shown: list[str] = dataclasses.field(default_factory=list)

    async def approved(self) -> None:
        number = new_id()[:8]
        order = an_order(quantity=self.quantity)
        home = order["ship_to"] | {"country": self.country, "line1": f"{number} Road"}
        buyer = order["buyer"] | {"country": self.country}
        if self.country != "US":
            home.pop("region")
            buyer.pop("region")
        order |= {"ship_to": home, "buyer": buyer}
        line = {"sku": self.sku, "category": self.category, "unit_price": 5000, "tax_total": 0}
        order["lines"][0] |= line
        order["payments"][0]["captured"] = 5000 * self.quantity + 1000
        await self.stranger.place(order, behaviour=self.behaviour)
        asked = a_request(order, quantity=self.quantity)
        condition = {"condition": "opened"}
        asked["lines"][0] |= condition | self.asks
        if self.country == FAR:
            asked["statutory_withdrawal"] = True
        self.id_ = await self.stranger.ask(asked)

    async def scan(self, kind: str) -> None:
        number = f"OWN-{new_id()[:12]}"
        await self._warehouse("scans", scan=kind, tracking_number=number)

    async def count(self, quantity: int, *more: Json) -> None:
        lines = [{"sku": self.sku, "quantity": quantity}, *more]
        await self._warehouse("receipts", lines=lines)

    async def grade(self, grade: str, **found: Any) -> None:
        line = {"sku": self.sku, "quantity": 1, "grade": grade, "evidence": []} | found
        await self._warehouse("inspections", lines=[line], inspector="w1")

    async def _warehouse(self, kind: str, **body: Any) -> None:
        await self.stranger.warehouse(kind, return_id=self.id_, **body)

    async def cancel(self) -> None:
        body = {"requested_at": rfc3339(now())}

        async def taken() -> bool:
            return await self._posted("cancel", body)

        await until(taken, about="cancelling")

    async def review(self, decision: str) -> None:
        """A person decides as soon as there is a case; one that changed is looked at again."""

        async def decided() -> bool:
            seen = await self.stranger.see(self.id_)
            case = ((seen.get("decision") or {}).get("escalation") or {}).get("case")
            if case is None:
                await asyncio.sleep(LOOK_EVERY_SECONDS)
                return False
            body = {
                "decision": decision,
                "reason": "looked at it",
                "reviewer": "r1",
                "case_sha256": case["case_sha256"],
                "decided_at": rfc3339(now()),
            }
            return await self._posted("review", body)

        await until(decided, about=f"to {decision}")

    async def _posted(self, what: str, body: Json) -> bool:
        url = f"{self.stranger.world.gateway}/returns/{self.id_}/{what}"
        taken = (await self.stranger.http.post(url, json=body)).status_code == 202
        if not taken:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        return taken

    async def history(self) -> list[list[str]]:
        """State after state of every unit, as fulfillment tells it."""
        units = await self._units()
        return [["none", *(move["state"] for move in unit["history"])] for unit in units]

    async def _units(self) -> list[Json]:
        url = f"{self.stranger.world.addresses['fulfillment']}/returns/{self.id_}"
        answer = await self.stranger.http.get(url)
        return list(answer.json()["units"]) if answer.status_code == 200 else []

    async def is_in(self, state: str) -> None:
        def there(units: list[list[str]]) -> bool:
            return any(states[-1] == state for states in units)

        await self._shows(there, state)

    async def came(self, state: str, to: str) -> None:
        """A unit came from one state straight into the other."""

        def there(units: list[list[str]]) -> bool:
            return any((state, to) in itertools.pairwise(states) for states in units)

        if state == to:  # no step is to be seen, but what was found is
            await until(self._graded, about=f"a grade of what is {state}")
            return

        await self._shows(there, f"{state} -> {to}")

    async def _graded(self) -> bool:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        return any(unit.get("grade") for unit in await self._units())

    async def _shows(self, there: Callable[[list[list[str]]], bool], about: str) -> None:
        """Raises AssertionError with what is seen instead."""
        units: list[list[str]] = []
        for _ in range(LOOKS_MAX):
            units = await self.history()
            if there(units):
                return
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        seen = await self.stranger.see(self.id_)
        why = (seen.get("decision") or {}).get("escalation", {}).get("reason")
        raise AssertionError(f"not {about}: {units}, {seen['status']}, {why}")


Step = Callable[[Life], Awaitable[None]]


async def nothing(it: Life) -> None:
    """The state is where every unit begins, or time alone brings the event."""


async def approved(it: Life) -> None:
    await it.approved()


async def cancelled(it: Life) -> None:
    await it.approved()
    await it.is_in("authorised")
    await it.cancel()


def then(do: Callable[[Life], Awaitable[None]]) -> Step:
    """Once the unit is the customer's to send."""

    async def after_approval(it: Life) -> None:
        await it.approved()
        await it.is_in("authorised")
        await do(it)

    return after_approval


BRICK = {"sku": "BRICK", "quantity": 1}
UNTIL: dict[str, Step] = {
    "none": cancelled,
    "authorised": approved,
    "label_issued": approved,
    "in_transit": then(lambda it: it.scan("accepted")),
    "delivered": then(lambda it: it.scan("delivered")),
    "received": then(lambda it: it.count(1, BRICK)),
    "inspected": then(lambda it: it.grade("damaged")),
    "lost": then(lambda it: it.scan("accepted")),
    "short_shipped": then(lambda it: it.count(it.quantity - 1)),
    "wrong_item": then(lambda it: it.grade("wrong_item")),
    "never_sent": approved,
    "not_required": approved,
}
THEN: dict[str, Step] = {
    "authorised": lambda it: it.review("approve"),
    "withdrawn": lambda it: it.cancel(),
    "labelled": nothing,
    "accepted": lambda it: it.scan("accepted"),
    "delivered": lambda it: it.scan("delivered"),
    "counted": lambda it: it.count(1),
    "not_in_parcel": lambda it: it.count(0),
    "graded": lambda it: it.grade("opened"),
    "graded_wrong_item": lambda it: it.grade("wrong_item"),
    "graded_missing": lambda it: it.grade("missing"),
    "scan_overdue": nothing,
    "send_by_passed": nothing,
    "sent_back": lambda it: it.review("reject"),
}
FAULTY = {"reason": "defective"}
ENDS: dict[str, tuple[Json, str, bool]] = {
    "restocked": ({}, "opened", False),
    "refurbished": ({"category": "electronics"}, "opened", False),
    "liquidated": ({"asks": FAULTY}, "worn", True),
    "recycled": ({"asks": FAULTY}, "damaged", True),
    "disposed": ({"category": "food"}, "opened", False),
}
"""Event -> (what was bought and why it comes back, its grade, whether its defect is confirmed):
what becomes of an inspected unit once it is paid."""


def life_for(stranger: Stranger, state: str, event: str) -> Life:
    it = Life(stranger=stranger)
    if "label_issued" in (state, event) or event == "labelled":
        it.country = "US"
    if (state, event) == ("never_sent", "authorised"):
        it.country = FAR
    if (state, event) == ("short_shipped", "send_by_passed"):
        it.quantity = 2
    if "not_required" in (state, event) or event == "exempted":
        it.sku = f"{KEPT}-JACKET"
    if (state, event) == ("not_required", "withdrawn"):
        it.behaviour = "declined"
    return it


async def drive(stranger: Stranger, state: str, event: str) -> Life:
    """One attempt at one row."""
    if event in ENDS:
        bought, grade, confirmed = ENDS[event]
        it = Life(stranger=stranger, **bought)
        await it.approved()
        await it.is_in("authorised")
        await it.grade(grade, **({"defect_confirmed": True} if confirmed else {}))
        return it
    it = life_for(stranger, state, event)
    if state == "none" and event in ("authorised", "exempted"):
        await it.approved()
        return it
    await UNTIL[state](it)
    if event not in ("labelled", "scan_overdue", "send_by_passed"):
        await it.is_in(state)
    if event == "withdrawn" and state in ("short_shipped", "not_required"):
        await it.review("reject")
    else:
        await THEN[event](it)
    return it


Row = tuple[str, str]
ROWS = {(str(state), str(event)): str(to) for (state, event), to in MOVES.items()}
AT_ONCE = {("not_required", "graded"): "restocked"}
"""Row -> what is seen of it: what the customer could keep is paid already, so that the message
that inspects it disposes of it too."""
IN_TIME = frozenset({"lost", "never_sent", "not_required"})
"""States that only time, or this policy, brings about."""


async def missed(
    world: World, rows: list[Row], *, attempts: int = 1, at_once: int = AT_ONCE_MAX
) -> dict[Row, str]:
    """The rows that did not happen, and what was seen instead."""
    stranger, room = Stranger(world), asyncio.Semaphore(at_once)
    found: dict[Row, str] = {}

    async def one(row: Row) -> None:
        for _ in range(attempts):
            try:
                it = await drive(stranger, *row)
                await it.came(row[0], AT_ONCE.get(row, ROWS[row]))
            except AssertionError as seen:
                found[row] = str(seen)
            else:
                found.pop(row, None)
                return

    async def in_turn(row: Row) -> None:
        async with room:
            await one(row)

    await asyncio.gather(*(in_turn(row) for row in rows))
    await stranger.close()
    return found


def of_time(row: Row) -> bool:
    return bool(IN_TIME & {row[0], ROWS[row]})


async def test_what_people_and_carriers_do_moves_a_unit_by_every_row(world: World) -> None:
    rows = [row for row in ROWS if row not in NOT_FROM_OUTSIDE and not of_time(row)]
    assert await missed(world, rows) == {}


async def test_what_time_and_keeping_bring_about_moves_a_unit_by_every_row(quick: World) -> None:
    assert set(NOT_FROM_OUTSIDE) <= set(ROWS)
    rows = [row for row in ROWS if row not in NOT_FROM_OUTSIDE and of_time(row)]
    waiting_together = await missed(quick, rows, attempts=ATTEMPTS_MAX, at_once=len(rows))
    assert waiting_together == {}
