"""Who may do what: every call with every scope, and what needs no key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contracts.lifecycle import Status
from services.chassis.keys import SCOPES, digest
from services.gateway.api import examples
from tests.integration.gateway.door import Door, Json, a_request, new_id, running
from tests.stores import NewStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

RETURN = new_id()
CALLS: dict[tuple[str, str], tuple[set[str], Json]] = {
    ("PUT", "/orders/order-1001"): ({"orders:write"}, examples.ORDER),
    ("POST", "/returns"): ({"returns:write"}, examples.REQUEST),
    ("POST", "/returns/quote"): ({"returns:write", "returns:read"}, examples.QUOTE_REQUEST),
    ("GET", "/returns"): ({"returns:read"}, {}),
    ("GET", f"/returns/{RETURN}"): ({"returns:read"}, {}),
    ("GET", f"/returns/{RETURN}/events"): ({"returns:read"}, {}),
    ("GET", f"/returns/{RETURN}/page"): ({"returns:read"}, {}),
    ("POST", f"/returns/{RETURN}/cancel"): ({"returns:write"}, examples.CANCEL),
    ("POST", f"/returns/{RETURN}/evidence"): ({"returns:write"}, examples.EVIDENCE),
    ("POST", f"/returns/{RETURN}/settlement"): ({"returns:write"}, examples.SETTLEMENT),
    ("POST", f"/returns/{RETURN}/reversal"): ({"returns:write"}, examples.REVERSAL),
    ("POST", f"/returns/{RETURN}/review"): ({"reviews:write"}, examples.REVIEW),
    ("POST", "/warehouse/scans"): ({"warehouse:write"}, examples.SCAN),
    ("POST", "/warehouse/receipts"): ({"warehouse:write"}, examples.RECEIPT),
    ("POST", "/warehouse/inspections"): ({"warehouse:write"}, examples.INSPECTION),
}
PUBLIC = ("/docs", "/openapi.json", "/healthz", "/metrics")


def bearing(scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer key-of-{scope}"}


@pytest_asyncio.fixture(loop_scope="module")
async def guarded(new_store: NewStore, tmp_path: Path) -> AsyncIterator[Door]:
    """A gateway with one key for each scope, and one for asking and reviewing."""
    keys = {digest(f"key-of-{scope}"): {"name": scope, "scopes": [scope]} for scope in SCOPES}
    both = {"name": "merchant", "scopes": ["returns:write", "reviews:write"]}
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(keys | {digest("key-of-both"): both}))
    url = new_store("gateway").runtime_url
    async with running(url, returns_api_keys_file=str(file)) as opened:
        yield opened


async def test_every_call_asks_for_its_scope_and_no_other(guarded: Door) -> None:
    for (method, path), (scopes, body) in CALLS.items():
        for scope in SCOPES:
            answer = await guarded.http.request(method, path, json=body, headers=bearing(scope))
            allowed = answer.status_code not in (401, 403)
            assert allowed == (scope in scopes), (method, path, scope, answer.text)
            if not allowed:
                assert answer.headers["content-type"] == "application/problem+json"


async def test_without_a_valid_key_nothing_is_shown_or_done(guarded: Door) -> None:
    wrong: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic a2V5OmtleQ=="},
        {"Authorization": f"Bearer {digest('key-of-both')}"},
    )
    for (method, path), (_, body) in CALLS.items():
        for headers in wrong:
            answer = await guarded.http.request(method, path, json=body, headers=headers)
            assert answer.status_code == 401, (method, path, headers)
    assert await guarded.outbox() == []


async def test_a_wrong_key_hears_the_same_of_known_and_unknown_returns(guarded: Door) -> None:
    posted = await guarded.http.post(
        "/returns", json=a_request(return_id=RETURN), headers=bearing("returns:write")
    )
    assert posted.status_code == 202
    for headers in ({}, bearing("warehouse:write")):
        known = await guarded.http.get(f"/returns/{RETURN}", headers=headers)
        unknown = await guarded.http.get(f"/returns/{new_id()}", headers=headers)
        assert known.status_code == unknown.status_code
        assert known.json() == unknown.json()


async def test_documentation_and_health_need_no_key(guarded: Door) -> None:
    for path in PUBLIC:
        assert (await guarded.http.get(path)).status_code == 200, path


async def test_the_reviewer_is_the_owner_of_the_key(guarded: Door) -> None:
    await guarded.http.post(
        "/returns", json=a_request(return_id=RETURN), headers=bearing("returns:write")
    )
    await guarded.changed(RETURN, Status.AWAITING_REVIEW)
    for reviewer in ("somebody-else", None):
        posted = await guarded.http.post(
            f"/returns/{RETURN}/review",
            json=examples.REVIEW | {"reviewer": reviewer},
            headers=bearing("reviews:write"),
        )
        assert posted.status_code == 202, posted.text
        assert (await guarded.outbox())[-1]["body"]["reviewer"] == "reviews:write"


async def test_a_merchants_decision_counts_as_a_review_only_with_the_scope(guarded: Door) -> None:
    decision = {"approved": True, "decided_by": "ann", "note": "a good customer"}
    only_writes = a_request(merchant_decision=decision)
    reviews_too = a_request(merchant_decision=decision)
    for request, scope in ((only_writes, "returns:write"), (reviews_too, "both")):
        posted = await guarded.http.post("/returns", json=request, headers=bearing(scope))
        assert posted.status_code == 202, posted.text
    first, second, review = await guarded.outbox()
    assert [row["topic"] for row in (first, second)] == ["returns.requests"] * 2
    assert review["topic"] == "returns.reviews"
    assert review["key"] == "order-1001"
    assert review["body"] == {
        "return_id": reviews_too["return_id"],
        "order_id": "order-1001",
        "decision": "approve",
        "reason": "a good customer",
        "reviewer": "merchant",
        "decided_at": reviews_too["requested_at"],
    }


async def test_the_same_idempotency_key_of_two_callers_means_two_returns(guarded: Door) -> None:
    request = a_request()
    del request["return_id"]
    answers = [
        await guarded.http.post(
            "/returns", json=request, headers=bearing(scope) | {"Idempotency-Key": "k"}
        )
        for scope in ("returns:write", "both")
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() != answers[1].json()


async def test_without_keys_a_merchants_decision_is_only_a_finding(door: Door) -> None:
    await door.ask(merchant_decision={"approved": True, "decided_by": "ann"})
    [row] = await door.outbox()
    assert row["topic"] == "returns.requests"
    assert row["body"]["merchant_decision"]["approved"] is True
