"""What RUNBOOK.md tells an operator to type, typed: its own commands, on a real deployment."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from contracts.topics import TOPICS
from services.payment.webhooks import sign
from tests.blackbox.world import Json, Stranger, a_request, an_order, now, rfc3339
from tests.compose.deployment import UP_SECONDS_MAX, Deployment, deployed, docker, engine_answers
from tests.compose.runbook import PAGE, Operator, commands
from tests.waiting import wait_for, wait_until

pytestmark = pytest.mark.timeout(500)

SECONDS_MAX = 240
NEXT = "next"
LOOKS = ("service-down", "gateway-errors", "late-records", "outbox-stuck", "effects",
         "parked-messages", "label-not-taken-back", "stuck-return", "reviews-waiting",
         "statutory-refunds", "processor", "escalations")  # fmt: skip
TASKS = ("quarantine", "refund-unknown", "books-differ", "find-a-stuck-return",
         "redrive-the-quarantine", "rotate-a-database-password", "add-partitions",
         "replay-a-topic", "restore-a-store", "upgrade")  # fmt: skip


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """Of its own: partitions are added to it, and a store is taken away."""
    if not engine_answers():
        pytest.skip("no container engine with Compose answers here")
    with deployed("returns-runbook") as made:
        yield made
    docker("image", "rm", "--force", f"returns:{NEXT}")


@pytest.fixture(scope="module")
def operator(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    return Operator(deployment=deployment, folder=tmp_path_factory.mktemp("operator"))


@pytest_asyncio.fixture
async def stranger(deployment: Deployment) -> AsyncIterator[Stranger]:
    person = Stranger(deployment, key=deployment.secrets["api-key"])
    yield person
    await person.close()


async def open_return(stranger: Stranger) -> tuple[str, Json]:
    """The id of a return whose goods are on their way, and its order."""
    order = an_order()
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order))
    # After partitions were added it takes half a minute until all have heard of them.
    await stranger.reaches(return_id, "awaiting_physical_receipt", seconds=SECONDS_MAX)
    await stranger.labelled(return_id)
    return return_id, order


async def goes_to_the_money(stranger: Stranger, return_id: str, order: Json) -> None:
    await stranger.send_back(return_id, order)
    await stranger.reaches(return_id, "settled", seconds=SECONDS_MAX)
    assert await stranger.paid(order) == 22200


async def settled(stranger: Stranger) -> tuple[str, Json]:
    return_id, order = await open_return(stranger)
    await goes_to_the_money(stranger, return_id, order)
    return return_id, order


@pytest.mark.asyncio
@pytest.mark.parametrize("section", LOOKS)
async def test_what_is_typed_when_an_alert_fires(operator: Operator, section: str) -> None:
    typed = commands(section)
    assert typed
    for command in typed:
        # grep ends with 1 where there is nothing of what one looks for.
        said = operator.types(f"{command} || [ $? = 1 ]" if "grep" in command else command)
        assert "ERROR: " not in said, f"{command}: {said}"


@pytest.mark.asyncio
async def test_a_stuck_return_is_found_and_a_refund_proved(
    operator: Operator, stranger: Stranger
) -> None:
    return_id, _ = await settled(stranger)
    for command in commands("find-a-stuck-return"):
        assert return_id in operator.types(command.replace("RETURN", return_id))
    looking, proving = commands("refund-unknown")
    operator.types(f"{looking} || [ $? = 1 ]")
    refunds = "SELECT refund_id FROM refund_intents LIMIT 1"
    refund = operator.as_superuser(refunds, database="payment").strip()
    assert refund in operator.types(proving.replace("REFUND", refund))
    for command in commands("books-differ"):
        assert "the books agree" in operator.types(command)


@pytest.mark.asyncio
async def test_a_record_that_was_set_aside_is_driven_again(
    operator: Operator, stranger: Stranger
) -> None:
    [listing, showing, redriving, mending] = commands("redrive-the-quarantine")
    return_id, order = await open_return(stranger)
    body = {"type": "ParcelScanned", "event_id": str(uuid4()), "return_id": return_id}
    body["scan"] = "accepted"
    await publish(operator.deployment, "warehouse.events", body, key=order["order_id"])

    def found() -> list[str]:
        return re.findall(r"\b[a-z]+:\d+\b", operator.types(listing))

    entries = wait_until(found, seconds=SECONDS_MAX, what="a quarantined record")
    operator.writes("mended.json", json.dumps(body | {"occurred_at": rfc3339(now())}))
    for entry in entries:
        assert "ParcelScanned" in operator.types(showing.replace("payment:1", entry))
        again = operator.types(redriving.replace("payment:1", entry), check=False)
        assert "was not handled" in again
        operator.types(mending.replace("payment:1", entry))
    assert not found()


async def publish(deployment: Deployment, topic: str, body: Json, *, key: str) -> None:
    async with AIOKafkaProducer(**deployment.login("merchant")) as producer:
        await producer.send_and_wait(topic, json.dumps(body).encode(), key=key.encode())


@pytest.mark.asyncio
async def test_a_webhook_secret_is_rotated_and_no_event_refused(
    operator: Operator, deployment: Deployment, stranger: Stranger
) -> None:
    old, new = deployment.secrets["webhook-secret"], f"whsec_{uuid4().hex}"

    async def takes(secret: str) -> bool:
        body, at = (
            b'{"id": "evt_1", "type": "none.of.ours", "data": {"object": {}}}',
            int(time.time()),
        )
        header = {"Stripe-Signature": f"t={at},v1={sign(body, secret, at)}"}
        url = f"http://127.0.0.1:{deployment.environment['PAYMENT_PORT']}/webhooks/stripe"
        async with httpx.AsyncClient(timeout=20) as http:
            return (await http.post(url, content=body, headers=header)).is_success

    assert [await takes(old), await takes(new)] == [True, False]
    assert "STRIPE_WEBHOOK_SECRET=new,old" in PAGE
    operator.puts_secret("payment", "webhook-secret", f"{new},{old}")
    operator.restarts("payment")
    assert [await takes(old), await takes(new)] == [True, True]
    operator.puts_secret("sandbox", "webhook-secret", new)
    operator.restarts("sandbox")
    operator.puts_secret("payment", "webhook-secret", new)
    operator.restarts("payment")
    assert [await takes(old), await takes(new)] == [False, True]
    await settled(stranger)


@pytest.mark.asyncio
async def test_a_database_password_is_rotated_without_a_gap(
    operator: Operator, deployment: Deployment, stranger: Stranger
) -> None:
    [create, works, denied, connections, retire] = commands("rotate-a-database-password")
    operator.types(create.replace("…", "fresh"))
    for command, expected in ((works, "count"), (denied, "permission denied")):
        url = command.replace("payment_b@…", "payment_b:fresh@postgres")
        assert expected in operator.types(url, check=False)
    url = deployment.secrets["payment-database-url"]
    second = re.sub("//payment:[^@]+@", "//payment_b:fresh@", url)
    operator.puts_secret("payment", "database-url", second)
    operator.restarts("payment")

    def only_the_second() -> bool:
        told = operator.types(connections)
        return "payment_b" in told and not re.search(r"^ payment +\|", told, re.MULTILINE)

    wait_until(only_the_second, seconds=SECONDS_MAX, what="the end of the old role's connections")
    operator.types(retire)
    await settled(stranger)
    operator.as_superuser("ALTER ROLE payment LOGIN")
    operator.puts_secret("payment", "database-url", url)
    operator.restarts("payment")


@pytest.mark.asyncio
async def test_partitions_are_added_while_nothing_waits(
    operator: Operator, stranger: Stranger
) -> None:
    await settled(stranger)
    [lag, alter, describe] = commands("add-partitions")

    def waiting() -> list[str]:
        """Of every group and partition, what was not read."""
        rows = [line.split() for line in operator.types(lag).splitlines()]
        return [row[5] for row in rows if len(row) > 5 and row[5].isdigit() and row[5] != "0"]

    wait_until(lambda: not waiting(), seconds=SECONDS_MAX, what="a lag of nothing")
    for topic in TOPICS:
        if topic.name != "orders":
            operator.types(alter.replace("returns.requests", topic.name))
    assert "PartitionCount: 12" in operator.types(describe)
    for _ in range(3):
        await settled(stranger)


def set_back(operator: Operator, command: str) -> None:
    """Refused until the session of the instance that was stopped has ended."""
    wait_until(
        lambda: "returns.decisions" in operator.types(command, check=False),
        seconds=SECONDS_MAX,
        what="new offsets of an empty group",
    )


@pytest.mark.asyncio
async def test_a_topic_is_replayed_and_nothing_done_twice(
    operator: Operator, deployment: Deployment, stranger: Stranger
) -> None:
    _, order = await settled(stranger)
    [_, reset, _, dropped] = commands("replay-a-topic")
    deployment.compose("stop", "payment")
    set_back(operator, reset)
    deployment.compose("up", "--wait", "--no-deps", "--no-recreate", "payment")

    def duplicates() -> float:
        said = operator.types(f"{dropped} || true")
        return sum(float(line.split()[-1]) for line in said.splitlines() if line[:8] == "returns_")

    wait_until(duplicates, seconds=SECONDS_MAX, what="records that were known")
    assert await stranger.paid(order) == 22200
    await settled(stranger)


@pytest.mark.asyncio
async def test_yesterdays_payment_store_is_restored_and_catches_up(
    operator: Operator, deployment: Deployment, stranger: Stranger
) -> None:
    [dump] = commands("restore-a-store")
    [restore] = re.findall(r"`(pg_restore [^`]+)`", PAGE)
    before = await settled(stranger)
    operator.types(dump.replace("payment.dump", "/tmp/payment.dump"))
    after = [await settled(stranger) for _ in range(3)]
    deployment.compose("stop", "payment")
    operator.as_superuser("DROP DATABASE payment WITH (FORCE)")
    deployment.compose("run", "--rm", "stores")
    operator.types(restore.replace("payment.dump", "/tmp/payment.dump"))
    reset = commands("replay-a-topic")[1].replace("--topic returns.decisions", "--all-topics")
    set_back(operator, reset)
    deployment.compose("up", "--wait", "--no-deps", "--no-recreate", "payment")

    async def agrees() -> bool:
        return "the books agree" in operator.types(commands("books-differ")[0], check=False)

    await wait_for(agrees, seconds=SECONDS_MAX, what="books that agree")
    for _, order in (before, *after):
        assert await stranger.paid(order) == 22200
    await settled(stranger)


@pytest.mark.asyncio
async def test_an_upgrade_takes_open_returns_along(
    deployment: Deployment, stranger: Stranger
) -> None:
    return_id, order = await open_return(stranger)
    [typed] = [each for each in commands("upgrade") if each.startswith("docker compose")]
    before = deployment.containers("commerce")
    deployment.environment["RETURNS_TAG"] = NEXT
    deployment.compose(*typed.removeprefix("docker compose ").split(), seconds=UP_SECONDS_MAX)
    assert deployment.containers("commerce") != before
    await goes_to_the_money(stranger, return_id, order)


def test_every_section_that_has_commands_is_run_here() -> None:
    sections = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    assert {each for each in sections if commands(each)} == {*LOOKS, *TASKS}
