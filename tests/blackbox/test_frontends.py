"""The example frontends follow a return of the running system to its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.blackbox.world import Stranger
from tests.frontends import EXAMPLES, PYTHON, ROOT, built, follows_to_the_money, npm, typescript_in

LINES_MAX = 30


@pytest.fixture(scope="module")
def typescript(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return typescript_in(tmp_path_factory.mktemp("typescript"))


def test_the_python_frontend_is_as_short_as_it_is_said_to_be() -> None:
    assert len(Path(PYTHON[1]).read_text().splitlines()) <= LINES_MAX


def test_the_typescript_types_are_those_of_the_schemas(typescript: Path) -> None:
    made = npm(typescript, "run", "types")
    assert made.returncode == 0, made.stderr
    for committed in (ROOT / EXAMPLES / "typescript" / "messages").iterdir():
        fresh = (typescript / "messages" / committed.name).read_text()
        assert committed.read_text() == fresh, f"{committed.name} is stale: `npm run types`"


@pytest.mark.asyncio
async def test_the_python_frontend_follows_its_return_to_the_money(stranger: Stranger) -> None:
    client = {"bootstrap_servers": stranger.world.kafka}
    await follows_to_the_money(stranger, PYTHON, client)


@pytest.mark.asyncio
async def test_the_typescript_frontend_follows_its_return_to_the_money(
    stranger: Stranger, typescript: Path
) -> None:
    client = {"brokers": [stranger.world.kafka]}
    await follows_to_the_money(stranger, built(typescript), client)
