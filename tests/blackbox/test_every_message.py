"""Every message of the published interface, as somebody hears it who only listens to the broker.

In a system for which weeks pass in seconds, returns of all kinds happen at once. Each message that
has a schema has to be heard, with the envelope that is promised and a body that its schema takes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer

from tests.blackbox.test_bus import WRITERS
from tests.blackbox.test_goods import cheap
from tests.blackbox.world import Json, Stranger, World, a_request, new_id, now, rfc3339, running
from tests.blackbox.world import until as reached

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]

SCHEMAS = Path(__file__).parents[2] / "contracts" / "schemas"
WRITERS_OF = WRITERS | {"returns.reviews": "gateway"}
NONSENSE = b"nonsense"
"""The one record that is no message."""
TIME_SCALE = "100000"
"""Two weeks to send something take twelve seconds."""
AT_ONCE_MAX = 8
HEARD_SECONDS_MAX = 60
ENVELOPE = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type")
POLICY = """
policy: messages
version: "1"
effective_from: 2020-01-01T00:00:00Z
limits: {reversal_after_settlement: with_consent}
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home: Path = tmp_path_factory.mktemp("messages")
    (home / "policy.yaml").write_text(POLICY)
    with running(
        home, RETURNS_TIME_SCALE=TIME_SCALE, POLICY_PATH=str(home / "policy.yaml")
    ) as started:
        yield started


@dataclass(frozen=True, kw_only=True)
class Heard:
    name: str
    topic: str
    key: bytes | None
    headers: dict[str, str]
    body: Json


@dataclass(kw_only=True)
class Ear:
    """Listens to every topic from its first record on."""

    kafka: str
    records: list[Heard] = field(default_factory=list)

    async def listen(self) -> None:
        """Until cancelled."""
        consumer = AIOKafkaConsumer(
            *WRITERS_OF,
            bootstrap_servers=self.kafka,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            async for record in consumer:
                headers = {name: value.decode(errors="replace") for name, value in record.headers}
                if record.value != NONSENSE:
                    ce_type = headers.get("ce_type", "")
                    self.records.append(
                        Heard(
                            name=ce_type.removeprefix("returns.").removesuffix(".v1"),
                            topic=record.topic,
                            key=record.key,
                            headers=headers,
                            body=json.loads(record.value),
                        )
                    )
        finally:
            await consumer.stop()

    async def hears(self, return_id: str, *names: str) -> None:
        """All of these messages about a return."""

        async def all_there() -> bool:
            heard = {each.name for each in self.records if each.body.get("return_id") == return_id}
            return heard >= set(names)

        await reached(all_there, seconds=HEARD_SECONDS_MAX, about=f"{names} of {return_id}")


@pytest_asyncio.fixture
async def ear(quick: World) -> AsyncIterator[Ear]:
    made = Ear(kafka=quick.kafka)
    listening = asyncio.create_task(made.listen())
    yield made
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


@dataclass(kw_only=True)
class Situation:
    """One return of one order, and what is heard of it."""

    stranger: Stranger
    ear: Ear
    order: Json = field(default_factory=lambda: cheap(1))
    return_id: str = ""

    async def asked(self, *, behaviour: str = "ok", **changes: Any) -> None:
        await self.stranger.place(self.order, behaviour=behaviour)
        self.return_id = await self.stranger.ask(a_request(self.order, **changes))

    async def labelled(self, **changes: Any) -> None:
        await self.asked(**changes)
        await self.hears("ReturnLabelIssued", "RefundReserved")

    async def settled(self, **changes: Any) -> None:
        await self.labelled(**changes)
        await self.back()
        await self.hears("RefundSettled")

    async def back(self, **how: Any) -> None:
        await self.stranger.send_back(self.return_id, self.order, **how)

    async def hears(self, *names: str) -> None:
        await self.ear.hears(self.return_id, *names)

    async def says(self, what: str, **body: Any) -> None:
        """The gateway may know a little later than the bus that this is possible now."""
        url = f"{self.stranger.world.gateway}/returns/{self.return_id}/{what}"

        async def taken() -> bool:
            return (await self.stranger.http.post(url, json=body)).status_code == 202

        await reached(taken, about=f"{what} is taken")

    async def disputes(self, status: str) -> None:
        [payment] = self.order["payments"]
        body = {"reference": payment["processor_reference"], "status": status}
        url = f"{self.stranger.world.sandbox}/sandbox/disputes"
        (await self.stranger.http.post(url, json=body)).raise_for_status()

    async def reversal(self) -> None:
        consent = {"given_at": rfc3339(now()), "text": "take it back"}
        await self.says(
            "reversal", amount=1000, reason="an empty box", requested_by="ops", consent=consent
        )

    async def decides(self, decision: str, **more: Any) -> None:
        case = await self.stranger.case(self.return_id)
        case_sha256 = case["case"]["case_sha256"]
        answer = await self.stranger.review(
            self.return_id, decision=decision, case_sha256=case_sha256, **more
        )
        assert answer.status_code == 202, answer.text


async def goes_well(it: Situation) -> None:
    await it.settled()
    await it.hears("RefundPending", "LoyaltyReversed", "TaxReversalRecorded", "ItemDisposed")


async def is_taken_back(it: Situation) -> None:
    await it.settled()
    await it.reversal()
    await it.hears("ReversalRequested", "ReversalReleased", "ReversalSettled")
    charges = [each for each in await it.stranger.money_out(it.order) if each["kind"] == "charge"]
    assert [each["amount"] for each in charges] == [1000]


async def cannot_be_taken_back(it: Situation) -> None:
    """A person paid it by bank transfer: there is nothing that could be charged again."""
    await it.labelled(behaviour="declined")
    await it.back()
    await it.hears("RefundFailed")
    await it.decides("approve", settlement={"method": "bank_transfer", "reference": "SEPA-1"})
    await it.hears("RefundSettled")
    await it.reversal()
    await it.hears("ReversalRefused")
    assert await it.stranger.money_out(it.order) == []


async def has_evidence(it: Situation) -> None:
    await it.labelled()
    shown = {
        "evidence_id": "e1",
        "kind": "document",
        "url": "https://shop.example/receipt.pdf",
        "purpose": "proof_of_sending",
    }
    await it.says("evidence", evidence=[shown])
    await it.hears("EvidenceAdded")
    case = await it.stranger.case(it.return_id)
    assert [each["evidence_id"] for each in case["case"]["evidence"]] == ["e1"]


async def is_cancelled(it: Situation) -> None:
    await it.labelled()
    await it.says("cancel", reason="keeping it", requested_at=rfc3339(now()))
    await it.hears("CancelReturn", "ReturnClosed", "RefundReservationVoided")


async def is_never_sent(it: Situation) -> None:
    await it.labelled()
    await it.hears("ReturnNotSent")


async def is_lost(it: Situation) -> None:
    await it.labelled()
    await it.stranger.warehouse("scans", return_id=it.return_id, scan="accepted")
    await it.hears("ReturnShipped", "ReturnLost")


async def holds_too_much(it: Situation) -> None:
    await it.labelled()
    await it.back(counted=3)
    await it.hears("ParcelUnmatched")


async def is_sent_back(it: Situation) -> None:
    await it.labelled()
    await it.back(grade="damaged")
    await it.decides("reject")
    await it.hears("ReviewDecided", "ReturnSentBack")


async def is_disputed_and_lost(it: Situation) -> None:
    """While nobody knows yet what became of the first attempt."""
    await it.labelled(behaviour="timeout_before")
    await it.back()
    await it.hears("RefundReleased")
    await it.disputes("open")
    await it.hears("DisputeOpened")
    await it.disputes("lost")
    await it.hears("DisputeClosed", "RefundVoided", "RefundReservationVoided")


async def is_approved_in_a_dispute(it: Situation) -> None:
    await it.stranger.place(it.order)
    await it.disputes("open")
    it.return_id = await it.stranger.ask(a_request(it.order))
    await it.decides("approve")
    await it.hears("RefundReservationRefused")


async def is_replaced(it: Situation) -> None:
    await it.asked(reason="defective", resolution="replacement", replacement_sku="JACKET-M")
    await it.hears("ReturnLabelIssued")
    await it.back(defect_confirmed=True)
    await it.hears("ReplacementReleased", "ReplacementScheduled", "ReplacementShipped")


async def cannot_be_replaced(it: Situation) -> None:
    sku = f"RARE-{new_id()[:8]}"
    stock = f"{it.stranger.world.sandbox}/sandbox/inventory"
    await it.stranger.http.post(stock, json={"sku": sku, "available": 1})
    it.order["lines"][0]["sku"] = sku
    await it.asked(reason="defective", resolution="replacement", replacement_sku=sku)
    await it.hears("ReturnLabelIssued")
    await it.stranger.http.post(stock, json={"sku": sku, "available": 0})
    await it.back(defect_confirmed=True)
    await it.hears("ReplacementFailed")
    await it.says("settlement", method="original_payment_method", consent_at=rfc3339(now()))
    await it.hears("SettlementChosen", "RefundSettled")


async def is_paid_with_credit(it: Situation) -> None:
    await it.settled(resolution="store_credit")
    await it.hears("StoreCreditIssued")


async def has_no_answer(it: Situation) -> None:
    await it.settled(behaviour="timeout_after_success")
    await it.hears("RefundOutcomeUnknown")


async def has_no_label(it: Situation) -> None:
    """For all returns of the moment: it comes last, alone."""
    moods = f"{it.stranger.world.sandbox}/sandbox/carrier"
    (await it.stranger.http.post(moods, json={"behaviour": "refused"})).raise_for_status()
    await it.asked()
    await it.hears("ReturnLabelFailed")


SITUATIONS = (
    is_disputed_and_lost,
    is_lost,
    is_never_sent,
    has_no_answer,
    goes_well,
    is_taken_back,
    cannot_be_taken_back,
    has_evidence,
    is_cancelled,
    holds_too_much,
    is_sent_back,
    is_approved_in_a_dispute,
    is_replaced,
    cannot_be_replaced,
    is_paid_with_credit,
)
"""What takes long comes first."""


def faults_of(heard: Heard, validators: dict[str, jsonschema.Draft202012Validator]) -> list[str]:
    """Where a record is not as the contract promises."""
    if heard.name not in validators:
        return [f"no message is called {heard.name!r}"]
    faults = [each.message for each in validators[heard.name].iter_errors(heard.body)]
    faults += [f"no {name}" for name in ENVELOPE if not heard.headers.get(name)]
    order_id, return_id = heard.body.get("order_id"), heard.body.get("return_id")
    if heard.key is None:
        faults.append("no key")
    elif order_id and heard.key.decode() != order_id:
        faults.append(f"the key is {heard.key!r}")
    if return_id and heard.headers.get("ce_subject") != return_id:
        faults.append(f"the subject is {heard.headers.get('ce_subject')}")
    writer = WRITERS_OF[heard.topic]
    if heard.headers.get("ce_source") != f"/services/{writer}":
        faults.append(f"the source is {heard.headers.get('ce_source')}")
    if writer != "gateway" and not heard.headers.get("ce_causationid"):
        faults.append("no cause")
    return faults


async def test_every_message_is_heard_on_the_bus_as_it_is_promised(quick: World, ear: Ear) -> None:
    gate = asyncio.Semaphore(AT_ONCE_MAX)
    stranger = Stranger(quick)

    async def happens(what: Any) -> None:
        async with gate:
            await what(Situation(stranger=stranger, ear=ear))

    await asyncio.gather(*(happens(each) for each in SITUATIONS))
    await happens(has_no_label)
    await stranger.publish("returns.decisions", NONSENSE, key="nobody")
    validators = {
        file.stem: jsonschema.Draft202012Validator(json.loads(file.read_text()))
        for file in SCHEMAS.glob("*.json")
    }

    async def all_heard() -> bool:
        return {each.name for each in ear.records} >= validators.keys()

    try:
        await reached(all_heard, about="every message")
    except AssertionError:
        missing = validators.keys() - {each.name for each in ear.records}
        raise AssertionError(f"never heard: {sorted(missing)}") from None
    await stranger.close()
    wrong = [(each.name, faults) for each in ear.records if (faults := faults_of(each, validators))]
    assert not wrong, wrong[:5]
    assert len({each.headers["ce_id"] for each in ear.records}) == len(ear.records)
