"""The whole system for the length of a test run, and the calls of its outside parties."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from services.chassis.clock import WallClock
from services.ops.demo.orders import jacket_order, request_for
from services.ops.stack import SERVICES

Json = dict[str, Any]

STOP_SECONDS_MAX = 60
CALL_SECONDS_MAX = 20.0
STATUS_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05
STEPS = ("accepted", "delivered", "received", "inspected")


@dataclass(frozen=True, kw_only=True)
class ReturnsSystem:
    """A running system. Bodies are those of the public interface; answers are parsed JSON.

    Every call raises AssertionError with the system's own words when it is refused.
    """

    gateway: str
    sandbox: str
    kafka: str
    prefix: str
    databases: dict[str, str]
    http: httpx.Client = field(repr=False)

    def topic(self, name: str) -> str:
        """The broker's name of a topic of the public interface."""
        return f"{self.prefix}{name}"

    def an_order(self, *, delivered_days_ago: int = 7) -> Json:
        """A jacket of 200.00 USD, tax 12.00, shipping 10.00, paid by card. Not placed yet."""
        return jacket_order(WallClock().now(), delivered_days_ago=delivered_days_ago)

    def a_request(self, order: Json, *, reason: str = "wrong_size", **changes: Any) -> Json:
        """A `ReturnRequest` for all of this order."""
        return request_for(order, WallClock().now(), reason=reason, **changes)

    def place(self, order: Json, *, behaviour: str = "ok") -> Json:
        """Capture the order's payments in the sandbox and tell the system of it; the order.

        `behaviour` is what the processor does when something is refunded.
        """
        for payment in order["payments"]:
            body = {
                "reference": payment["processor_reference"],
                "amount": payment["captured"],
                "currency": order["currency"],
                "behaviour": behaviour,
            }
            self._call("POST", f"{self.sandbox}/sandbox/payments", body)
        self._call("PUT", f"{self.gateway}/orders/{order['order_id']}", order)
        return order

    def ask(self, request: Json) -> str:
        """Ask for a return over REST; its id."""
        return str(self._call("POST", f"{self.gateway}/returns", request)["return_id"])

    def see(self, return_id: str) -> Json | None:
        """The return as it stands; None where nobody knows it yet."""
        answer = self.http.get(f"{self.gateway}/returns/{return_id}")
        found: Json | None = answer.json() if answer.is_success else None
        return found

    def wait_for(self, return_id: str, *statuses: str, seconds: float = STATUS_SECONDS_MAX) -> Json:
        """The return, once it has one of these statuses. Raises AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            seen = self.see(return_id)
            if seen is not None and seen["status"] in statuses:
                return seen
            if time.monotonic() > deadline:
                last = seen and (seen["status"], seen["explanation"])
                raise AssertionError(f"{return_id} is not {statuses} after {seconds} s: {last}")
            time.sleep(POLL_SECONDS)

    def send_back(self, return_id: str, order: Json, *, grade: str = "as_new") -> None:
        """The parcel's life, played by the sandbox: handed over, delivered, counted, inspected."""
        lines = [
            {"sku": line["sku"], "quantity": line["quantity"], "grade": grade}
            for line in order["lines"]
        ]
        body = {"steps": STEPS, "lines": lines, "order_id": order["order_id"]}
        self._call("POST", f"{self.sandbox}/sandbox/parcels/{return_id}/play", body)

    def book(self, order: Json) -> list[Json]:
        """What moved at the processor for this order, in minor units."""
        references = {payment["processor_reference"] for payment in order["payments"]}
        entries = self._call("GET", f"{self.sandbox}/sandbox/book")["entries"]
        return [entry for entry in entries if entry["reference"] in references]

    def _call(self, method: str, url: str, body: Json | None = None) -> Json:
        answer = self.http.request(method, url, json=body)
        assert answer.is_success, f"{method} {url}: {answer.status_code} {answer.text}"
        found: Json = answer.json() if answer.content else {}
        return found


@contextmanager
def running(folder: Path, *, kafka: str, databases: dict[str, str], migrations: dict[str, str],
            prefix: str) -> Iterator[ReturnsSystem]:  # fmt: skip
    """All services as processes of their own, on a broker and databases that are there already.

    Raises AssertionError with what the system said when it does not start.
    """
    errors = folder / "starter.log"
    with errors.open("w") as log:
        starter = subprocess.Popen(
            [sys.executable, "-m", "services.ops", "up", "--json"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=_environment(folder, kafka, databases, migrations, prefix),
            start_new_session=True,
        )
        try:
            assert starter.stdout is not None
            line = starter.stdout.readline()
            assert line, f"the system did not start:\n{errors.read_text()[-3000:]}"
            found = json.loads(line)
            with httpx.Client(timeout=CALL_SECONDS_MAX) as http:
                yield ReturnsSystem(
                    gateway=found["gateway"],
                    sandbox=found["sandbox"],
                    kafka=found["kafka"],
                    prefix=prefix,
                    databases=dict(found["databases"]),
                    http=http,
                )
        finally:
            starter.send_signal(signal.SIGTERM)
            starter.wait(timeout=STOP_SECONDS_MAX)


def _environment(
    folder: Path,
    kafka: str,
    databases: dict[str, str],
    migrations: dict[str, str],
    prefix: str,
) -> dict[str, str]:
    ports = {f"{service.upper()}_PORT": "0" for service in SERVICES}
    stores = {f"{name.upper()}_DATABASE_URL": url for name, url in databases.items()}
    owners = {f"{name.upper()}_MIGRATION_DATABASE_URL": url for name, url in migrations.items()}
    return (
        os.environ
        | ports
        | stores
        | owners
        | {
            "RETURNS_HOME": str(folder),
            "KAFKA_BOOTSTRAP_SERVERS": kafka,
            "TOPIC_PREFIX": prefix,
        }
    )
