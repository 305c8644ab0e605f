"""What the log of `golden/exchanges` tells: replacements, disputes, and refunds taken back.

When the stores are kept, one replacement is on hold and one cannot be sent, two refunds wait for
disputes to close, and one refund is taken back in part.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from contracts.requests import ReversalRequested, SettlementChosen
from tests.payments import Sandbox
from tests.upgrade.refunds import arrive, id_of, order, parcel, request
from tests.upgrade.world import World

EXCHANGED = ("swapped", "swapped-late", "sold-out")
DISPUTED = ("won", "lost")
TAKEN_BACK = ("charged", "debited")


def wish(name: str) -> dict[str, Any]:
    """What this customer wants instead of money back where it came from."""
    if name == "debited":
        return {"settlement": {"method": "store_credit"}}
    if name not in EXCHANGED:
        return {}
    line = {
        "line_id": "1", "sku": stock(name), "quantity": 1, "reason": "defective",
        "condition": "opened", "note": "The zip is broken.",
    }  # fmt: skip
    return {"resolution": "replacement", "replacement_sku": stock(name), "lines": [line]}


def stock(name: str) -> str:
    return "JACKET-RARE" if name == "sold-out" else "JACKET-M"


def available(sandbox: Sandbox, sku: str, units: int) -> None:
    body = {"sku": sku, "available": units}
    httpx.post(f"{sandbox.url}/sandbox/inventory", json=body).raise_for_status()


async def first_half(world: World, sandbox: Sandbox) -> None:
    """All are approved; some goods are back, and three refunds and one replacement are out."""
    for name in (*EXCHANGED, *DISPUTED, *TAKEN_BACK):
        sandbox.pay(f"pi_{name}", amount=43400)
        available(sandbox, stock(name), 100)
        await world.say(order(name, sku=stock(name)))
        await world.say(request(world, name, **wish(name)))
        await world.say(parcel(world, name, "accepted"))
    await world.wait(timedelta(hours=2))
    for name in DISPUTED:
        sandbox.dispute(f"pi_{name}", "open")
    available(sandbox, "JACKET-RARE", 0)
    await arrive(world, "swapped", grade="opened", defect_confirmed=True)
    await arrive(world, "sold-out", sku="JACKET-RARE", grade="opened", defect_confirmed=True)
    for name in (*DISPUTED, *TAKEN_BACK):
        await arrive(world, name, grade="as_new")
    await world.wait(timedelta(hours=3))
    await take_back(world, "charged", 5000)


async def second_half(world: World, sandbox: Sandbox) -> None:
    """Disputes close, the last replacement leaves, and more is taken back than may be."""
    await arrive(world, "swapped-late", grade="opened", defect_confirmed=True)
    await world.say(
        SettlementChosen.model_validate(
            {
                "return_id": id_of("sold-out"), "method": "original_payment_method",
                "consent_at": world.clock.at,
            }
        )
    )  # fmt: skip
    for name in DISPUTED:
        sandbox.dispute(f"pi_{name}", name)
    await world.wait(timedelta(days=1))
    await take_back(world, "debited", 21200)
    await take_back(world, "charged", 16200)
    await take_back(world, "charged", 1)
    await world.wait(timedelta(days=1))


async def take_back(world: World, name: str, amount: int) -> None:
    """A person takes a part of the refund back, as the customer agreed."""
    await world.say(
        ReversalRequested.model_validate(
            {
                "return_id": id_of(name), "amount": amount, "reason": "Another jacket came back.",
                "requested_by": "r1", "requested_at": world.clock.at,
                "consent": {"given_at": world.clock.at, "text": "Take it back, please."},
            }
        )
    )  # fmt: skip
