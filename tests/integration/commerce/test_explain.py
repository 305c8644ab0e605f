"""`returns explain` on a store that a running commerce writes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from services.commerce import app
from services.ops.__main__ import app as command
from tests.driving import Drive
from tests.integration.commerce.test_process import assessed
from tests.unit.commerce.process import examples

pytestmark = pytest.mark.asyncio


async def test_every_decision_of_a_stored_return_is_explained_and_where_it_stands(
    drive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    service: Drive = await drive(app.build, "commerce")
    await service.send(
        examples.order(country="GB", currency="GBP"),
        examples.request(reason="changed_mind", currency="GBP"),
    )
    made = await assessed(service)
    await service.send(examples.reserved(made), examples.labelled(), examples.shipped())
    monkeypatch.setenv("COMMERCE_DATABASE_URL", service.settings.commerce_database_url)

    async def explained(*arguments: str) -> Any:
        return await asyncio.to_thread(CliRunner().invoke, command, ["explain", *arguments])

    told = await explained(examples.RETURN_ID)
    assert told.exit_code == 0, told.output
    for finding in made.findings:
        assert f"{finding.code} [{finding.rule_id}]" in told.output
    assert made.facts.inputs_sha256 in told.output
    assert "by law the refund is due by 2026-03-15T23:59:59Z." in " ".join(told.output.split())
    data = await explained(examples.RETURN_ID, "--json")
    assert json.loads(data.output)[0]["decision"]["sequence"] == 1
    for arguments in (["nobody"], [examples.RETURN_ID, "--sequence", "9"]):
        refused = await explained(*arguments)
        assert refused.exit_code == 1 and "no decision is stored" in refused.output
