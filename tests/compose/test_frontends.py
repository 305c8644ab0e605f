"""The example frontends on the deployment's own broker, with the login and rights of a frontend."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.blackbox.world import Json, Stranger
from tests.compose.deployment import Deployment
from tests.frontends import PYTHON, Program, built, follows_to_the_money, typescript_in

pytestmark = pytest.mark.asyncio
PRINCIPAL = "frontend"


async def test_the_python_frontend_needs_no_more_rights(deployment: Deployment) -> None:
    await follows(deployment, PYTHON, deployment.login(PRINCIPAL))


async def test_the_typescript_frontend_needs_no_more_rights(
    deployment: Deployment, tmp_path: Path
) -> None:
    password = deployment.secrets[f"{PRINCIPAL}-kafka-password"]
    sasl = {"mechanism": "scram-sha-512", "username": PRINCIPAL, "password": password}
    client = {"brokers": deployment.kafka.split(","), "sasl": sasl}
    await follows(deployment, built(typescript_in(tmp_path)), client)


async def follows(deployment: Deployment, program: Program, client: Json) -> None:
    stranger = Stranger(deployment, key=deployment.secrets["api-key"])
    try:
        await follows_to_the_money(stranger, program, client)
    finally:
        await stranger.close()
