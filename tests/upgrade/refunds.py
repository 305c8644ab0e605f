"""Returns that end in every way, and some that are open: what the log of `golden/refunds` tells."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from contracts.decisions import ReturnDecisionMade
from contracts.orders import OrderSnapshot
from contracts.requests import CancelReturn, EvidenceAdded, ReturnRequest
from contracts.reviews import ReviewDecided
from contracts.warehouse import ItemInspected, ItemReceived, ParcelScanned
from tests.driving import START
from tests.payments import Sandbox
from tests.upgrade.world import World

NAMES = ("jacket", "credit", "late", "cancelled", "waiting", "worn")


def id_of(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"golden:{name}"))


def order(name: str, *, days_ago: int = 10, sku: str = "JACKET-M") -> OrderSnapshot:
    placed, delivered = START - timedelta(days=days_ago + 3), START - timedelta(days=days_ago)
    return OrderSnapshot.model_validate(
        {
            "order_id": f"order-{name}", "order_number": f"N-{name}", "version": 1,
            "placed_at": placed, "currency": "USD", "prices_include_tax": False,
            "buyer": {"customer_id": f"customer-{name}", "email": f"{name}@customer.example",
                      "country": "US", "region": "NV"},
            "lines": [{"line_id": "1", "sku": sku, "title": "Jacket", "category": "apparel",
                       "quantity": 2, "unit_price": 20000, "tax_total": 2400,
                       "tax_rate_bps": 600}],
            "shipping": {"method": "standard", "paid": 1000, "cheapest_offered": 1000},
            "payments": [{"payment_id": "p1", "processor": "sandbox",
                          "processor_reference": f"pi_{name}", "method": "card",
                          "captured": 43400, "captured_at": placed}],
            "loyalty": {"program_id": "club", "points_earned": 424},
            "deliveries": [{"delivery_id": "d1", "shipped_at": placed, "delivered_at": delivered,
                            "lines": [{"line_id": "1", "quantity": 2}]}],
        }
    )  # fmt: skip


def request(world: World, name: str, **changes: Any) -> ReturnRequest:
    return ReturnRequest.model_validate(
        {
            "return_id": id_of(name), "order_id": f"order-{name}", "currency": "USD",
            "lines": [{"line_id": "1", "sku": "JACKET-M", "quantity": 1, "reason": "wrong_size",
                       "condition": "unopened", "note": "The sleeves are too short."}],
            "resolution": "refund", "channel": {"type": "webchat"}, "locale": "en-US",
            "requested_at": world.clock.at,
        } | changes
    )  # fmt: skip


async def first_half(world: World, sandbox: Sandbox) -> None:
    """All are asked for: two are decided by a person's leave or wait for it, one is taken back."""
    for name in NAMES:
        sandbox.pay(f"pi_{name}", amount=43400)
        await world.say(order(name, days_ago=45 if name == "late" else 10))
    for name in NAMES:
        credit = {"settlement": {"method": "store_credit"}} if name == "credit" else {}
        await world.say(request(world, name, **credit))
    await world.wait(timedelta(hours=2))
    await world.say(
        CancelReturn(return_id=id_of("cancelled"), requested_at=world.clock.at),
        EvidenceAdded.model_validate(
            {
                "return_id": id_of("late"),
                "evidence": [{"evidence_id": "e1", "kind": "text", "text": "I was ill."}],
                "added_at": world.clock.at,
            }
        ),
    )
    await world.say(parcel(world, "jacket", "accepted"))


async def second_half(world: World, sandbox: Sandbox) -> None:
    """Goods arrive and money goes back; one stays where it is."""
    await world.wait(timedelta(days=1))
    await review(world, "late")
    for name in ("jacket", "credit", "late", "worn"):
        await world.say(parcel(world, name, "accepted"))
        await arrive(world, name, grade="worn" if name == "worn" else "as_new")
        await world.wait(timedelta(hours=3))


async def arrive(world: World, name: str, *, sku: str = "JACKET-M", **inspected: Any) -> None:
    """The parcel is delivered, counted and opened; `inspected` is what the warehouse sees."""
    line = {"sku": sku, "quantity": 1}
    counted = goods(world, name, "received") | {"lines": [line]}
    graded = goods(world, name, "inspected") | {
        "lines": [line | inspected], "inspector": "warehouse-7",
    }  # fmt: skip
    await world.say(parcel(world, name, "delivered"))
    await world.say(ItemReceived.model_validate(counted))
    await world.say(ItemInspected.model_validate(graded))


async def review(world: World, name: str) -> None:
    """A person approves the case as it stands."""
    made = await world.drives["commerce"].published(ReturnDecisionMade)
    case: ReturnDecisionMade = [each for each in made if each.return_id == id_of(name)][-1]
    assert case.escalation is not None and case.escalation.case is not None
    await world.say(
        ReviewDecided.model_validate(
            {
                "return_id": id_of(name), "decision": "approve", "reason": "A loyal customer.",
                "reviewer": "r1", "case_sha256": case.escalation.case.case_sha256,
                "decided_at": world.clock.at,
            }
        )
    )  # fmt: skip


def parcel(world: World, name: str, scan: str) -> ParcelScanned:
    return ParcelScanned.model_validate(goods(world, name, scan) | {"scan": scan})


def goods(world: World, name: str, what: str) -> dict[str, Any]:
    return {
        "event_id": f"{name}-{what}", "return_id": id_of(name), "order_id": f"order-{name}",
        "occurred_at": world.clock.at,
    }  # fmt: skip
