"""The sandbox as a process of its own, and a payment service that listens to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import stripe

from tests.waiting import wait_until

SECRET = "whsec_test"


class Inbox:
    """Where the sandbox posts its events."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, str]] = []
        self.refuse = 0
        self._port = 0
        self.start()

    def start(self) -> None:
        """Listen, on the same port as before."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if outer.refuse:
                    outer.refuse -= 1
                    self.send_response(500)
                else:
                    outer.received.append((body, self.headers["stripe-signature"]))
                    self.send_response(200)
                if outer.closed:
                    self.close_connection = True
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                pass

        self.closed = False
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Go away. Kept connections end with their next event, which still arrives."""
        self.closed = True
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def types(self, subject: str) -> list[str]:
        events = [json.loads(body) for body, _ in self.received]
        return [
            event["type"]
            for event in events
            if subject in (event["data"]["object"].get("payment_intent"),)
        ]


class Sandbox:
    def __init__(self, home: Path, inbox: Inbox, port: int, gateway_port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.gateway_port = gateway_port
        self._environment = os.environ | {
            "RETURNS_HOME": str(home),
            "SANDBOX_PORT": str(port),
            "SANDBOX_URL": self.url,
            "PAYMENT_URL": inbox.url,
            "GATEWAY_URL": f"http://127.0.0.1:{gateway_port}",
            "STRIPE_WEBHOOK_SECRET": SECRET,
        }
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.sandbox"], env=self._environment
        )
        try:
            wait_until(self._answers, seconds=60)
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def pay(self, reference: str, amount: int = 1000, behaviour: str = "ok") -> None:
        body = {
            "reference": reference, "amount": amount, "currency": "USD", "behaviour": behaviour,
        }  # fmt: skip
        made = httpx.post(f"{self.url}/sandbox/payments", json=body, timeout=30)
        assert made.status_code == 201, made.text

    def book(self, reference: str) -> list[dict[str, Any]]:
        entries = httpx.get(f"{self.url}/sandbox/book", timeout=30).json()["entries"]
        return [entry for entry in entries if entry["reference"] == reference]

    def client(self, seconds: float = 2.0) -> stripe.StripeClient:
        return stripe.StripeClient(
            "sk_test_1",
            http_client=stripe.HTTPXClient(timeout=seconds, allow_sync_methods=True),
            max_network_retries=0,
            base_addresses={"api": self.url},
        )


def refund(client: stripe.StripeClient, reference: str, key: str, amount: int = 600) -> Any:
    return client.v1.refunds.create(
        {
            "payment_intent": reference,
            "amount": amount,
            "metadata": {"refund_id": f"r-{reference}", "return_id": "x"},
        },
        {"idempotency_key": key},
    )
