"""The sandbox's carrier, its shelf, and its robot."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.sandbox.outside import Sandbox


def call(sandbox: Sandbox, method: str, path: str, body: Any = None) -> httpx.Response:
    return httpx.request(method, f"{sandbox.url}{path}", json=body, timeout=60)


def label(reference: str, return_id: str = "r-1") -> dict[str, Any]:
    return {"reference": reference, "return_id": return_id, "order_id": "o-1", "to": {"name": "A"}}


def test_the_carrier_has_its_moods_and_gets_over_them(sandbox: Sandbox) -> None:
    try:
        for mood, first, found in (
            ("refused", 422, 0),
            ("error_500_stored", 500, 0),
            ("error_500_after_success", 500, 1),
        ):
            call(sandbox, "POST", "/sandbox/carrier", {"behaviour": mood})
            reference = f"mood:{mood}"
            answer = call(sandbox, "POST", "/carrier/labels", label(reference))
            assert answer.status_code == first
            labels = call(sandbox, "GET", f"/carrier/labels?reference={reference}").json()["labels"]
            assert len(labels) == found
            if mood != "refused":
                again = call(sandbox, "POST", "/carrier/labels", label(reference))
                assert again.status_code == 201
                assert not labels or again.json() == labels[0]
    finally:
        call(sandbox, "POST", "/sandbox/carrier", {"behaviour": "ok"})


def test_a_voided_label_stays_void(sandbox: Sandbox) -> None:
    tracking = call(sandbox, "POST", "/carrier/labels", label("void")).json()["tracking_number"]
    for _ in range(2):
        answer = call(sandbox, "POST", f"/carrier/labels/{tracking}/void")
        assert (answer.status_code, answer.json()["status"]) == (200, "void")
    assert call(sandbox, "POST", "/carrier/labels/RR000000000SB/void").status_code == 404


def test_a_customers_own_goods_leave_in_one_parcel_and_no_stock_gets_less(
    sandbox: Sandbox,
) -> None:
    lines = [{"sku": "MUG", "quantity": 1}, {"sku": "PLATE", "quantity": 2}]
    back = {"reference": "back:1", "lines": lines, "from_stock": False}
    made = call(sandbox, "POST", "/warehouse/shipments", back).json()
    assert made["lines"] == lines
    assert made["tracking_number"]
    stock = [call(sandbox, "GET", f"/inventory/{line['sku']}").json() for line in lines]
    assert len({each["available"] for each in stock}) == 1
    nothing = {"reference": "back:2", "lines": [], "from_stock": False}
    assert call(sandbox, "POST", "/warehouse/shipments", nothing).status_code == 422


def test_the_shelf_counts_reservations_until_they_end(sandbox: Sandbox) -> None:
    call(sandbox, "POST", "/sandbox/inventory", {"sku": "MUG/1", "available": 2})
    held = {
        "reference": "res-1",
        "sku": "MUG/1",
        "quantity": 2,
        "expires_at": "2999-01-01T00:00:00Z",
    }
    assert call(sandbox, "POST", "/inventory/reservations", held).status_code == 201
    assert call(sandbox, "POST", "/inventory/reservations", held).status_code == 201
    other = held | {"reference": "res-2", "quantity": 1}
    assert call(sandbox, "POST", "/inventory/reservations", other).status_code == 409
    assert call(sandbox, "GET", "/inventory/MUG/1").json()["available"] == 0
    sent = {"reference": "res-1", "lines": [{"sku": "MUG/1", "quantity": 2}]}
    shipped = [call(sandbox, "POST", "/warehouse/shipments", sent).json() for _ in range(2)]
    assert shipped[0] == shipped[1]
    assert call(sandbox, "GET", "/inventory/MUG/1").json()["available"] == 0
    more = {"reference": "ship-2", "lines": [{"sku": "MUG/1", "quantity": 1}]}
    assert call(sandbox, "POST", "/warehouse/shipments", more).json()["code"] == "out_of_stock"
    back = {"reference": "back-1", "sku": "MUG/1", "quantity": 1}
    for _ in range(2):
        call(sandbox, "POST", "/inventory/restocks", back)
    worn = back | {"reference": "back-2", "disposition": "liquidated"}
    call(sandbox, "POST", "/inventory/restocks", worn)
    assert call(sandbox, "GET", "/inventory/MUG/1").json()["available"] == 1
    past = other | {"reference": "res-3", "expires_at": "2020-01-01T00:00:00Z"}
    assert call(sandbox, "POST", "/inventory/reservations", past).status_code == 201
    assert call(sandbox, "GET", "/inventory/MUG/1").json()["available"] == 1


class Door:
    """A gateway's warehouse calls, on the port where the sandbox looks for it."""

    def __init__(self, port: int) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.seen.append((self.path, body))
                self.send_response(outer.answers.pop(0) if outer.answers else 202)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def door(sandbox: Sandbox) -> Iterator[Door]:
    made = Door(sandbox.gateway_port)
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_the_robot_plays_a_parcels_life_and_repeats_what_was_not_taken(
    sandbox: Sandbox, door: Door
) -> None:
    return_id = str(uuid4())
    made = call(sandbox, "POST", "/carrier/labels", label("played", return_id)).json()
    door.answers = [202, 503]
    play = {"lines": [{"sku": "JACKET", "quantity": 1, "grade": "worn"}], "order_id": "o-1"}
    answer = call(sandbox, "POST", f"/sandbox/parcels/{return_id}/play", play)
    assert answer.status_code == 202, answer.text
    paths = [path.removeprefix("/warehouse/") for path, _ in door.seen]
    assert paths == ["scans", "scans", "scans", "scans", "receipts", "inspections"]
    ids = [body["event_id"] for _, body in door.seen]
    assert ids[1] == ids[2]  # the same event again
    assert len(set(ids)) == 5
    assert door.seen[-1][1]["lines"][0]["grade"] == "worn"
    assert all(body["return_id"] == return_id for _, body in door.seen)
    void = call(sandbox, "POST", f"/carrier/labels/{made['tracking_number']}/void")
    assert (void.status_code, void.json()["code"]) == (409, "already_used")


def test_the_robot_knows_parcels_by_their_number_and_passes_refusals_on(
    sandbox: Sandbox, door: Door
) -> None:
    door.answers = [409]
    answer = call(sandbox, "POST", "/sandbox/parcels/RR1SB/play", {"steps": ["accepted"]})
    assert answer.status_code == 409
    assert door.seen[0][1]["tracking_number"] == "RR1SB"
    empty = call(sandbox, "POST", "/sandbox/parcels/RR1SB/play", {"steps": ["received"]})
    assert empty.json()["errors"][0]["field"] == "lines"
