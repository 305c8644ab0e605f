"""A real Prometheus scrapes the running system by our configuration, and has answers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from services.ops.embedded.processes import free_port
from tests.blackbox.world import Json, Stranger, World, a_request, an_order, until

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "observability"
ANSWER_SECONDS_MAX = 120
SCRAPED = ("commerce", "fulfillment", "payment", "gateway")
SELECTOR = re.compile(r"\breturns[_:][a-z0-9_:]+(?:\{(?:[^}\"]|\"[^\"]*\")*\})?")
# What a system in which nothing is wrong has no figure of, or none that is there at every moment.
ONLY_IN_TROUBLE = {
    "returns_overdue": "nothing was late",
    "returns_effects_due": "an effect that is carried out at once is never seen as due",
    "returns_effects_failing": "no effect was tried five times",
    "returns_batches_stalled_total": "the store took every batch",
    "returns_gauges_failed_total": "every figure could be read",
    "returns_refunds_unfinished": "read every 30 s; no refund was under way at that moment",
    "returns_refunds_unfinished_age_seconds": "the same",
    "returns_statutory_due": "read every 5 min; nothing was owed by law at that moment",
    "returns_reconciliation_differences": "the books are compared at night",
    "returns_messages_ignored_total": "nothing came that an older state had overtaken",
}


@contextmanager
def prometheus(folder: Path, addresses: Json) -> Iterator[str]:
    """The address of one with our configuration and rules, every second instead of every 15."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed (Debian: apt-get install prometheus)")
    rules = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    for group in rules["groups"]:
        group.pop("interval", None)
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    settings = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    settings["global"] = dict.fromkeys(("scrape_interval", "evaluation_interval"), "1s")
    [job] = settings["scrape_configs"]
    names = [target.partition(":")[0] for target in job["static_configs"][0]["targets"]]
    targets = [str(addresses[name]).removeprefix("http://") for name in names]
    job["static_configs"] = [{"targets": targets}]
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    listen = f"127.0.0.1:{free_port()}"
    command = [
        *(binary, f"--config.file={folder / 'prometheus.yaml'}"),
        *(f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={listen}"),
    ]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as running,
    ):
        try:
            yield f"http://{listen}"
        finally:
            running.terminate()


async def ask(client: httpx.AsyncClient, path: str, **parameters: str) -> Any:
    try:
        answer = await client.get(f"/api/v1/{path}", params=parameters)
    except httpx.TransportError:
        return None
    return answer.json()["data"] if answer.is_success else None


async def busy(stranger: Stranger) -> None:
    """Refunds that work, that fail, whose processor errs; and one that a person has to decide."""
    for behaviour in ("ok", "error_500_after_success", "declined"):
        order = an_order()
        await stranger.place(order, behaviour=behaviour)
        return_id = await stranger.ask(a_request(order))
        await stranger.labelled(return_id)
        await stranger.send_back(return_id, order)
        await stranger.reaches(return_id, "settled", "settlement_failed")
    late = an_order(delivered_days_ago=90)
    await stranger.place(late)
    return_id = await stranger.ask(a_request(late, reason="changed_mind"))
    await stranger.reaches(return_id, "awaiting_review")
    for _ in range(2):
        seen = {"event_id": order["order_id"].replace("order-", "00000000-0000-4000-8000-")}
        await stranger.warehouse("scans", return_id=return_id, scan="delivered", **seen)


def questions() -> Iterator[str]:
    """Every query of the dashboard and every recorded one; what each alert looks at."""
    dashboard = json.loads((FOLDER / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))
    for group in yaml.safe_load((FOLDER / "rules.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield from [rule["expr"]] if "record" in rule else SELECTOR.findall(rule["expr"])


def is_explained(question: str) -> bool:
    return bool({found.partition("{")[0] for found in SELECTOR.findall(question)}
                & ONLY_IN_TROUBLE.keys())  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.timeout(400)
async def test_prometheus_has_an_answer_to_all_that_dashboard_and_rules_ask(
    world: World, stranger: Stranger, tmp_path: Path
) -> None:
    with prometheus(tmp_path, world.addresses) as url:
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:

            async def all_scraped() -> bool:
                seen = await ask(client, "query", query="up == 1")
                return seen is not None and len(seen["result"]) == len(SCRAPED)

            await until(all_scraped, seconds=ANSWER_SECONDS_MAX, about="a scrape of every service")
            await busy(stranger)
            silent: list[str] = []

            async def everything_answers() -> bool:
                silent[:] = [
                    question
                    for question in dict.fromkeys(questions())
                    if not (await ask(client, "query", query=question))["result"]
                ]
                return all(map(is_explained, silent))

            try:
                await until(everything_answers, seconds=ANSWER_SECONDS_MAX)
            except AssertionError:
                raise AssertionError(
                    f"no answer to {[each for each in silent if not is_explained(each)]}"
                ) from None
            print(*silent, sep="\n")
            rules = (await ask(client, "rules"))["groups"]
            unwell = [r["name"] for group in rules for r in group["rules"] if r["health"] != "ok"]
            assert unwell == []
