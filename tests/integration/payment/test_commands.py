"""`returns reconcile` and `returns prove` against a payment service that runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from typer.testing import CliRunner, Result

from contracts import payment as told
from services.ops.__main__ import app
from tests.integration.payment.conftest import Serve, Served
from tests.integration.payment.test_webhooks import published, send
from tests.payments import (
    Sandbox,
    a_decision,
    a_payment,
    a_release,
    an_order,
    new_id,
    running_sandbox,
)
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio
OK, DIFFERS, WRONG_USE = 0, 1, 2


@pytest.fixture
def sandbox(tmp_path_factory: pytest.TempPathFactory, payment_port: int) -> Iterator[Sandbox]:
    """A processor of this test alone: what others did there would differ."""
    home = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(home, payment_url=f"http://127.0.0.1:{payment_port}") as started:
        yield started


async def run(served: Served, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """The command, which finds the service by the environment."""
    for name in ("PAYMENT_URL", "GATEWAY_URL"):  # this gateway knows of no return
        monkeypatch.setenv(name, str(served.client.base_url))
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments))


async def test_the_commands_tell_by_their_status_whether_the_books_agree(
    serve: Serve, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as served:
        reference, return_id, refund_id = f"pi_{uuid4().hex}", new_id(), new_id()
        sandbox.pay(reference)
        await send(served, an_order(a_payment(reference)), a_decision(return_id))
        await send(served, a_release(return_id, refund_id, amount=20000))
        await wait_for(lambda: published(served, told.RefundSettled), what="the refund settles")

        agreed = await run(served, monkeypatch, "reconcile", "--json")
        assert agreed.exit_code == OK, agreed.output
        report: dict[str, Any] = json.loads(agreed.output)
        assert (report["compared"], report["differences"]) == (1, [])

        for named in (refund_id, return_id):
            proven = await run(served, monkeypatch, "prove", named, "--json")
            assert proven.exit_code == OK, proven.output
            links = json.loads(proven.output)["links"]
            assert all(len(each["sha256"]) == 64 for each in links)
            assert {"release", "submission", "ledger", "processor"} <= {e["step"] for e in links}
        assert (await run(served, monkeypatch, "prove", "nobody")).exit_code == DIFFERS

        # Somebody refunds the rest at the processor, and claims that it was ours.
        form = {"payment_intent": reference, "amount": "2200", "metadata[refund_id]": "forged"}
        async with httpx.AsyncClient(base_url=sandbox.url) as client:
            (await client.post("/v1/refunds", data=form)).raise_for_status()
        differs = await run(served, monkeypatch, "reconcile", "--json")
        assert differs.exit_code == DIFFERS
        [found] = json.loads(differs.output)["differences"]
        assert (found["kind"], found["refund_id"]) == ("missing_here", "forged")
        assert found["action"]
        shown = await run(served, monkeypatch, "reconcile", "--since", "2026-01-01")
        assert shown.exit_code == DIFFERS
        wrong = await run(served, monkeypatch, "reconcile", "--since", "yesterday")
        assert wrong.exit_code == WRONG_USE
    away = await run(served, monkeypatch, "reconcile")
    assert away.exit_code == DIFFERS
