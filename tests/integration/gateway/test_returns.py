"""Asking for returns, looking at them, and asking something of them, over HTTP."""

from __future__ import annotations

import asyncio

import pytest

from contracts import decisions, fulfillment, requests
from contracts.lifecycle import Status
from tests.integration.gateway.door import NOW, Door, Json, a_decision, a_request, an_order, new_id

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_202_means_that_the_request_is_stored_to_be_published_and_can_be_seen(
    door: Door,
) -> None:
    request = a_request()
    posted = await door.http.post("/returns", json=request)
    assert posted.status_code == 202
    answer = posted.json()
    assert answer["return_id"] == request["return_id"]
    assert answer["status"] == "requested"
    [row] = await door.outbox()
    assert row["topic"] == "returns.requests"
    assert row["key"] == request["order_id"]
    assert row["type"] == "returns.ReturnRequest.v1"
    assert row["headers"]["ce_correlationid"] == request["return_id"]
    assert requests.ReturnRequest.model_validate(row["body"]) == (
        requests.ReturnRequest.model_validate(request)
    )
    seen = await door.http.get(answer["status_url"])
    assert seen.status_code == 200
    assert seen.json() == {
        "return_id": request["return_id"],
        "order_id": request["order_id"],
        "status": "requested",
        "waiting_on": "commerce",
        "until": "2026-03-14T10:00:10Z",
        "explanation": "We have received your return request and are looking at it.",
        "refunds": [],
        "goods": {"state": "none", "lines": [], "tracking": []},
        "timeline": [
            {
                "at": "2026-03-14T10:00:00Z",
                "status": "requested",
                "explanation": "We have received your return request and are looking at it.",
            }
        ],
    }


async def test_id_and_time_are_minted_when_left_out_and_a_null_is_left_out(door: Door) -> None:
    request = a_request(requested_at=None)
    del request["return_id"]
    posted = await door.http.post("/returns", json=request)
    assert posted.status_code == 202
    [row] = await door.outbox()
    assert row["body"]["return_id"] == posted.json()["return_id"]
    assert row["body"]["requested_at"]


async def test_without_an_order_the_return_is_the_key(door: Door) -> None:
    return_id = await door.ask(order_id=None, claim={"email": "who@customer.example"})
    [row] = await door.outbox()
    assert row["key"] == return_id


async def test_the_same_key_and_body_have_the_same_answer_and_are_published_once(
    door: Door,
) -> None:
    request = a_request()
    without_id = {key: value for key, value in request.items() if key != "return_id"}
    for body, headers in (
        (request, {}),
        (without_id, {"Idempotency-Key": "k1"}),
        (without_id | {"requested_at": None}, {"Idempotency-Key": "k2"}),
    ):
        first = await door.http.post("/returns", json=body, headers=headers)
        second = await door.http.post("/returns", json=body, headers=headers)
        assert (first.status_code, second.status_code) == (202, 202)
        assert first.json() == second.json()
    assert len(await door.outbox()) == 3


async def test_the_same_key_with_another_body_is_a_conflict(door: Door) -> None:
    request = a_request()
    assert (await door.http.post("/returns", json=request)).status_code == 202
    another_key = {"Idempotency-Key": "another"}
    for changes in (
        {"resolution": "store_credit"},
        {"lines": [{"sku": "JACKET-M", "quantity": 2, "reason": "wrong_size"}]},
        {"statutory_withdrawal": True},
    ):
        by_return = await door.http.post("/returns", json=request | changes)
        assert by_return.status_code == 409
        assert by_return.headers["content-type"] == "application/problem+json"
        by_content = await door.http.post("/returns", json=request | changes, headers=another_key)
        assert by_content.status_code == 409
    # The refused key is not used up.
    repeated = await door.http.post("/returns", json=request, headers=another_key)
    assert repeated.status_code == 202
    assert len(await door.outbox()) == 1


async def test_fifty_twins_at_once_become_one_return(door: Door) -> None:
    request = a_request()
    del request["return_id"]
    headers = {"Idempotency-Key": "twins"}
    other = request | {"resolution": "store_credit"}
    posted = await asyncio.gather(
        *(
            door.http.post("/returns", json=other if n % 2 else request, headers=headers)
            for n in range(50)
        )
    )
    accepted = {each.json()["return_id"] for each in posted if each.status_code == 202}
    assert len(accepted) == 1
    assert sorted({each.status_code for each in posted}) == [202, 409]
    assert sum(each.status_code == 202 for each in posted) == 25
    assert len(await door.outbox()) == 1


async def test_a_return_known_from_the_bus_is_the_same_return(door: Door) -> None:
    request = a_request()
    await door.publish("returns.requests", requests.ReturnRequest.model_validate(request))
    assert (await door.http.post("/returns", json=request)).status_code == 202
    changed = request | {"resolution": "replacement"}
    assert (await door.http.post("/returns", json=changed)).status_code == 409
    assert await door.outbox() == []


async def test_our_own_request_coming_back_from_the_bus_changes_nothing(door: Door) -> None:
    request = a_request()
    return_id = await door.ask(**request)
    before = (await door.http.get(f"/returns/{return_id}")).json()
    await door.publish("returns.requests", requests.ReturnRequest.model_validate(request))
    assert (await door.http.get(f"/returns/{return_id}")).json() == before


async def test_every_wrong_field_is_named_at_once(door: Door) -> None:
    request = a_request(currency=7, resolution="hug", locale="!", evidence=[{"kind": "song"}])
    request["lines"] = [
        {"quantity": 0, "reason": "because", "condition": "eaten", "note": "x" * 2001},
        {"sku": "A", "quantity": 1, "reason": "other"},
        {"sku": "B", "quantity": 1.5, "reason": 7},
    ]
    posted = await door.http.post("/returns", json=request)
    assert posted.status_code == 422
    assert posted.headers["content-type"] == "application/problem+json"
    fields = {error["field"] for error in posted.json()["errors"]}
    assert fields == {
        "currency",
        "resolution",
        "locale",
        "evidence.0.evidence_id",
        "evidence.0.kind",
        "lines.0.sku",
        "lines.0.quantity",
        "lines.0.reason",
        "lines.0.condition",
        "lines.0.note",
        "lines.2.quantity",
        "lines.2.reason",
    }
    assert await door.outbox() == []


async def test_a_request_that_names_no_order_is_told_which_fields_to_send(door: Door) -> None:
    request = a_request()
    del request["order_id"]
    posted = await door.http.post("/returns", json=request)
    assert posted.json()["errors"] == [
        {"field": "order_id", "message": "order_id or claim is required"}
    ]


async def test_an_unknown_value_is_refused_even_where_all_else_is_right(door: Door) -> None:
    for value in ("unknown", "because"):
        posted = await door.http.post("/returns", json=a_request(resolution=value))
        assert posted.status_code == 422
        assert [error["field"] for error in posted.json()["errors"]] == ["resolution"]


async def test_orders_are_taken_in_once_per_version(door: Door) -> None:
    async def put(path_id: str = "order-1001", **changes: object) -> int:
        body = an_order(**changes)
        return (await door.http.put(f"/orders/{path_id}", json=body)).status_code

    assert await put() == 202
    assert await put() == 200
    assert await put(version=3) == 202
    assert await put(version=2) == 200
    assert await put(path_id="another") == 422
    assert await put(path_id="a/b c", order_id="a/b c") == 202
    rows = await door.outbox()
    assert [(row["topic"], row["key"], row["body"]["version"]) for row in rows] == [
        ("orders", "order-1001", 1),
        ("orders", "order-1001", 3),
        ("orders", "a/b c", 1),
    ]
    assert rows[0]["headers"]["ce_subject"] == "order-1001"


async def test_racing_versions_are_published_in_ascending_order(door: Door) -> None:
    await asyncio.gather(
        *(
            door.http.put("/orders/order-1001", json=an_order(version=version))
            for version in (5, 3, 9, 1, 7, 2, 8, 4, 6)
        )
    )
    versions = [row["body"]["version"] for row in await door.outbox()]
    assert versions == sorted(versions)
    assert versions[-1] == 9


async def test_pages_keep_their_place_while_returns_come_in(door: Door) -> None:
    asked = [await door.ask() for _ in range(7)]
    page = (await door.http.get("/returns", params={"limit": 3})).json()
    got = [item["return_id"] for item in page["items"]]
    while cursor := page.get("next_cursor"):
        await door.ask()
        page = (await door.http.get("/returns", params={"limit": 3, "cursor": cursor})).json()
        got += [item["return_id"] for item in page["items"]]
    assert got == asked[::-1]


async def test_returns_are_found_by_status_order_and_customer(door: Door) -> None:
    await door.http.put("/orders/order-1001", json=an_order())
    mine = await door.ask()
    spoofed = await door.ask(requester={"customer_id": "customer-99", "verified_by": "session"})
    unknown_order = await door.ask(order_id="elsewhere")
    await door.changed(spoofed, Status.REQUESTED, Status.ASSESSING)

    async def found(**filters: str) -> set[str]:
        got = await door.http.get("/returns", params=filters)
        assert got.status_code == 200, got.text
        return {item["return_id"] for item in got.json()["items"]}

    assert await found(status="assessing") == {spoofed}
    assert await found(order_id="order-1001") == {mine, spoofed}
    assert await found(customer_id="customer-17") == {mine, spoofed, unknown_order}
    assert await found(customer_id="customer-99") == set()
    assert await found(customer_id="customer-17", status="requested") == {mine, unknown_order}
    assert await found(order_id="nowhere") == set()


WRONG_FILTERS: tuple[tuple[dict[str, str], str], ...] = (
    ({"status": "lost_in_space"}, "status"),
    ({"status": "unknown"}, "status"),
    ({"cursor": "!!!"}, "cursor"),
    ({"cursor": "c2VxOi0x"}, "cursor"),
    ({"cursor": ""}, "cursor"),
    ({"limit": "0"}, "limit"),
    ({"limit": "many"}, "limit"),
    ({"order_id": "a\x00b"}, "order_id"),
    ({"customer_id": ""}, "customer_id"),
)


async def test_a_wrong_filter_is_named(door: Door) -> None:
    for params, field in WRONG_FILTERS:
        got = await door.http.get("/returns", params=params)
        assert got.status_code == 422
        assert [error["field"] for error in got.json()["errors"]] == [field]


ASKS: dict[str, tuple[Json, str]] = {
    "cancel": ({"reason": "keeping it"}, "CancelReturn"),
    "evidence": ({"evidence": [{"evidence_id": "e1", "kind": "text"}]}, "EvidenceAdded"),
    "settlement": ({"method": "store_credit"}, "SettlementChosen"),
    "reversal": ({"amount": 5, "reason": "empty", "requested_by": "me"}, "ReversalRequested"),
    "review": (
        {"decision": "approve", "reason": "ok", "reviewer": "r1", "case_sha256": "a" * 64},
        "ReviewDecided",
    ),
}
ALLOWED_IN = {
    "cancel": Status.AWAITING_PHYSICAL_RECEIPT,
    "evidence": Status.AWAITING_REVIEW,
    "settlement": Status.SETTLEMENT_FAILED,
    "reversal": Status.SETTLED,
    "review": Status.AWAITING_REVIEW,
}
NOT_IN = {
    "cancel": Status.IN_TRANSIT,
    "evidence": Status.SETTLED,
    "settlement": Status.ASSESSING,
    "reversal": Status.REQUESTED,
    "review": Status.ASSESSING,
}


@pytest.mark.parametrize("ask", ASKS)
async def test_what_is_allowed_now_is_published_under_the_known_order(door: Door, ask: str) -> None:
    return_id = await door.ask(order_id=None, claim={"email": "who@customer.example"})
    await door.changed(return_id, ALLOWED_IN[ask])  # names order-1001
    body, message = ASKS[ask]
    posted = await door.http.post(f"/returns/{return_id}/{ask}", json=body)
    assert posted.status_code == 202, posted.text
    assert posted.json()["status"] == ALLOWED_IN[ask]
    row = (await door.outbox())[-1]
    assert row["type"] == f"returns.{message}.v1"
    assert row["topic"] == ("returns.reviews" if ask == "review" else "returns.requests")
    assert row["key"] == "order-1001"
    assert row["body"]["order_id"] == "order-1001"
    assert row["body"]["return_id"] == return_id


@pytest.mark.parametrize("ask", ASKS)
async def test_what_is_not_allowed_now_is_a_conflict_with_the_reason(door: Door, ask: str) -> None:
    return_id = await door.ask()
    if NOT_IN[ask] is not Status.REQUESTED:
        await door.changed(return_id, NOT_IN[ask])
    posted = await door.http.post(f"/returns/{return_id}/{ask}", json=ASKS[ask][0])
    assert posted.status_code == 409
    assert posted.json()["detail"]
    assert len(await door.outbox()) == 1


async def test_an_unknown_return_is_not_found(door: Door) -> None:
    for return_id in (new_id(), "nonsense", "%00", "a" * 3000):
        for ask, (body, _) in ASKS.items():
            posted = await door.http.post(f"/returns/{return_id}/{ask}", json=body)
            assert posted.status_code == 404
            assert posted.headers["content-type"] == "application/problem+json"
        for path in ("", "/events"):
            assert (await door.http.get(f"/returns/{return_id}{path}")).status_code == 404


async def test_the_same_idempotency_key_gives_a_request_the_same_event_id(door: Door) -> None:
    return_id = await door.ask()
    for key in ("k", "k", "other"):
        await door.http.post(
            f"/returns/{return_id}/evidence",
            json=ASKS["evidence"][0],
            headers={"Idempotency-Key": key},
        )
    first, second, third = (row["id"] for row in (await door.outbox())[1:])
    assert first == second != third


async def test_a_body_that_names_another_return_than_the_path_is_refused(door: Door) -> None:
    return_id = await door.ask()
    posted = await door.http.post(f"/returns/{return_id}/cancel", json={"return_id": new_id()})
    assert posted.status_code == 422
    assert [error["field"] for error in posted.json()["errors"]] == ["return_id"]


async def test_a_review_is_bound_to_the_case_that_stands(door: Door) -> None:
    return_id = await door.ask()
    await door.changed(return_id, Status.AWAITING_REVIEW)
    await door.publish(
        "returns.decisions",
        a_decision(return_id, "escalated"),
        a_decision(return_id, "escalated", sequence=2, case_sha256="b" * 64),
    )
    body, _ = ASKS["review"]
    stale = await door.http.post(f"/returns/{return_id}/review", json=body)
    assert stale.status_code == 409
    current = body | {"case_sha256": "b" * 64}
    accepted = await door.http.post(f"/returns/{return_id}/review", json=current)
    assert accepted.status_code == 202
    assert (await door.outbox())[-1]["body"]["reviewer"] == "r1"


INCOMPLETE_REVIEWS: tuple[tuple[Json, str], ...] = (
    ({"case_sha256": None}, "case_sha256"),
    ({"case_sha256": "short"}, "case_sha256"),
    ({"reviewer": None}, "reviewer"),
    ({"reason": None}, "reason"),
    ({"decision": "adjust"}, "amount"),
    ({"decision": "adjust", "amount": -1}, "amount"),
    ({"decision": "link_order"}, "linked_order_id"),
    ({"decision": "shrug"}, "decision"),
    ({"settlement": {"method": "gold"}}, "settlement.method"),
)


async def test_a_review_without_what_it_needs_is_told_so(door: Door) -> None:
    return_id = await door.ask()
    await door.changed(return_id, Status.AWAITING_REVIEW)
    for changes, field in INCOMPLETE_REVIEWS:
        body = ASKS["review"][0] | changes
        posted = await door.http.post(f"/returns/{return_id}/review", json=body)
        assert posted.status_code == 422
        assert [error["field"] for error in posted.json()["errors"]] == [field]


@pytest.mark.parametrize("field", ["currency", "channel", "locale", "resolution", "lines"])
async def test_a_request_that_leaves_out_what_the_interface_requires_is_told_the_field(
    door: Door, field: str
) -> None:
    request = a_request()
    del request[field]
    posted = await door.http.post("/returns", json=request)
    assert posted.status_code == 422
    assert [each["field"] for each in posted.json()["errors"]] == [field]
    assert await door.outbox() == []


async def test_an_event_of_the_warehouse_says_nothing_of_the_order_that_its_sender_did_not_say(
    door: Door,
) -> None:
    """The view may still name the order that a customer mistyped and a person has replaced."""
    return_id = await door.ask(order_id="order-mistyped")
    event = {
        "return_id": return_id,
        "scan": "accepted",
        "occurred_at": "2026-03-14T10:00:00Z",
        "event_id": new_id(),
    }
    assert (await door.http.post("/warehouse/scans", json=event)).status_code == 202
    row = (await door.outbox())[-1]
    assert row["key"] == "order-mistyped"
    assert "order_id" not in row["body"]


async def test_a_replacement_that_fails_before_its_release_is_heard_may_be_waited_for(
    door: Door,
) -> None:
    """Two topics: what fulfillment says of it may overtake what commerce said."""
    return_id = await door.ask()
    named = {"return_id": return_id, "order_id": "order-1001", "replacement_id": "r1",
             "sku": "JACKET-L", "quantity": 1}  # fmt: skip
    failed = fulfillment.ReplacementFailed.model_validate(
        named | {"occurred_at": NOW, "reason": "out_of_stock"}
    )
    await door.publish("fulfillment.events", failed)
    await door.publish("returns.decisions", decisions.ReplacementReleased.model_validate(named))
    await door.changed(return_id, Status.PENDING_SETTLEMENT)
    asked = await door.http.post(f"/returns/{return_id}/settlement", json={"method": "wait"})
    assert asked.status_code == 202, asked.text
