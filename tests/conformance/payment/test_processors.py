"""One suite for every processor: the sandbox's own process, and Stripe's validating mock.

The sandbox keeps state, so it shows behaviour. Stripe's mock keeps none, but it knows Stripe's
API description: a request whose shape Stripe would refuse is refused.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from contracts.assessments import DisputeState
from contracts.orders import PaymentMethod, Processor
from services.chassis.clock import WallClock
from services.ops.embedded import processes
from services.payment.model import PaymentFacts, SeenStatus
from services.payment.processors import stripe_client
from services.payment.processors.breaker import Breaker
from services.payment.processors.port import ProcessorError, SeenCharge, Submission, Verdict
from services.payment.processors.stripe_client import StripeProcessor
from tests.payments import Sandbox, running_sandbox
from tests.waiting import wait_for

pytestmark = pytest.mark.asyncio

MOCK = "github.com/stripe/stripe-mock@v0.197.0"
MOCK_BUILD_SECONDS_MAX = 150
NOW = datetime(2026, 3, 10, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe_client, "READ_SECONDS_MAX", 1.5)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(
        tmp_path_factory.mktemp("sandbox"), payment_url="http://127.0.0.1:9"
    ) as started:
        yield started


@pytest.fixture(scope="module")
def mock_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Stripe's own mock server on a free port; skipped where it cannot be built."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("the Go toolchain is not there: stripe-mock cannot be built")
    folder = tmp_path_factory.mktemp("mock")
    binary = built_mock(go)
    port = processes.free_port()
    log = folder / "mock.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(binary), "-http-port", str(port)], stdout=output, stderr=output
        )
    try:
        url = f"http://127.0.0.1:{port}"
        processes.wait_until(lambda: answers(url), process, seconds=60, name="stripe-mock", log=log)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def built_mock(go: str) -> Path:
    """The binary, built once per machine; skipped when the module cannot be had."""
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "returns-tests"
    binary = folder / MOCK.replace("/", "_").replace("@", "_")
    if binary.exists():
        return binary
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            [go, "install", MOCK],
            env=os.environ | {"GOBIN": str(folder), "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"},
            check=True,
            capture_output=True,
            timeout=MOCK_BUILD_SECONDS_MAX,
        )
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"stripe-mock could not be built here: {type(error).__name__}")
    (folder / "stripe-mock").rename(binary)
    return binary


def answers(url: str) -> bool:
    try:
        httpx.get(url)
    except httpx.HTTPError:
        return False
    return True


@pytest_asyncio.fixture
async def at_sandbox(sandbox: Sandbox) -> AsyncIterator[StripeProcessor]:
    processor = StripeProcessor(
        name="sandbox", key="sk_test_1", base=sandbox.url, breaker=Breaker(WallClock())
    )
    yield processor
    await processor.close()


@pytest_asyncio.fixture
async def at_mock(mock_url: str) -> AsyncIterator[StripeProcessor]:
    processor = StripeProcessor(
        name="stripe",
        key="sk_test_123",
        base=mock_url,
        breaker=Breaker(WallClock()),
        charges=("ch_",),
    )
    yield processor
    await processor.close()


def a_payment(reference: str) -> PaymentFacts:
    return PaymentFacts(
        payment_id="p1",
        processor=Processor.SANDBOX,
        reference=reference,
        method=PaymentMethod.CARD,
        captured=22200,
        captured_at=NOW,
    )


def a_submission(
    payment: PaymentFacts, *, amount: int = 5000, key: str | None = None, refund_id: str = "rf"
) -> Submission:
    return Submission(
        payment=payment,
        amount=amount,
        currency="USD",
        key=key or f"refund:{uuid4()}:1",
        metadata={
            "refund_id": refund_id,
            "return_id": "r",
            "order_id": "o",
            "attempt": "1",
        },
    )


def paid(sandbox: Sandbox, behaviour: str = "ok") -> PaymentFacts:
    reference = f"pi_{uuid4().hex}"
    sandbox.pay(reference, behaviour=behaviour)
    return a_payment(reference)


async def test_a_refund_is_made_found_and_read_again(
    at_sandbox: StripeProcessor, sandbox: Sandbox
) -> None:
    payment = paid(sandbox)
    made = await at_sandbox.submit(a_submission(payment, refund_id="rf-1"))
    assert (made.refund_id, made.amount, made.currency) == ("rf-1", 5000, "USD")
    assert (await at_sandbox.find(payment, "rf-1")) is not None
    again = await at_sandbox.find(payment, "rf-1", made.reference)
    assert again is not None
    assert again.reference == made.reference
    assert await at_sandbox.find(payment, "another") is None
    look = await at_sandbox.look(payment, now=NOW)
    assert look.captured == 22200
    assert [each.reference for each in look.refunds] == [made.reference]


async def test_the_same_key_makes_one_refund_and_another_body_is_an_error(
    at_sandbox: StripeProcessor, sandbox: Sandbox
) -> None:
    payment = paid(sandbox)
    submission = a_submission(payment, key="refund:same:1")
    first = await at_sandbox.submit(submission)
    second = await at_sandbox.submit(submission)
    assert first.reference == second.reference
    with pytest.raises(ProcessorError) as caught:
        await at_sandbox.submit(a_submission(payment, key="refund:same:1", amount=1))
    assert caught.value.trouble.verdict is Verdict.UNKNOWN
    assert len(sandbox.book(payment.reference)) == 1


@pytest.mark.parametrize(
    ("behaviour", "verdict", "done"),
    [
        ("declined", Verdict.REFUSED, False),
        ("rate_limited", Verdict.NOT_SENT, False),
        ("timeout_before", Verdict.UNKNOWN, False),
        ("timeout_after_success", Verdict.UNKNOWN, True),
        ("error_500_stored", Verdict.UNKNOWN, False),
        ("error_500_after_success", Verdict.UNKNOWN, True),
    ],
)
async def test_every_trouble_means_what_the_table_says(
    at_sandbox: StripeProcessor, sandbox: Sandbox, behaviour: str, verdict: Verdict, done: bool
) -> None:
    payment = paid(sandbox, behaviour)
    with pytest.raises(ProcessorError) as caught:
        await at_sandbox.submit(a_submission(payment, refund_id=behaviour))
    assert caught.value.trouble.verdict is verdict
    if verdict is Verdict.NOT_SENT:
        assert caught.value.trouble.retry_seconds is not None
    effective = [
        each
        for each in (await at_sandbox.look(payment, now=NOW, with_refunds=True)).refunds
        if each.status is not SeenStatus.FAILED
    ]
    assert bool(effective) is done


async def test_a_stored_500_is_replayed_and_only_a_new_key_gets_through(
    at_sandbox: StripeProcessor, sandbox: Sandbox
) -> None:
    payment = paid(sandbox, "error_500_stored")
    for _ in range(2):
        with pytest.raises(ProcessorError):
            await at_sandbox.submit(a_submission(payment, key="refund:stored:1"))
    await at_sandbox.submit(a_submission(payment, key="refund:stored:2"))
    assert sandbox.kinds(payment.reference) == ["refund"]


async def test_what_exceeds_the_charge_is_refused(
    at_sandbox: StripeProcessor, sandbox: Sandbox
) -> None:
    payment = paid(sandbox)
    with pytest.raises(ProcessorError) as caught:
        await at_sandbox.submit(a_submission(payment, amount=22201))
    assert caught.value.trouble.verdict is Verdict.REFUSED
    await at_sandbox.submit(a_submission(payment, amount=22200))
    with pytest.raises(ProcessorError) as caught:
        await at_sandbox.submit(a_submission(payment, amount=1))
    assert caught.value.trouble.code == "charge_already_refunded"


async def test_disputes_are_seen_and_refuse_refunds(
    at_sandbox: StripeProcessor, sandbox: Sandbox
) -> None:
    payment = paid(sandbox)
    sandbox.dispute(payment.reference, "open")
    [seen] = (await at_sandbox.look(payment, now=NOW)).disputes
    assert seen.state is DisputeState.OPEN
    with pytest.raises(ProcessorError) as caught:
        await at_sandbox.submit(a_submission(payment))
    assert caught.value.trouble.verdict is Verdict.DISPUTED
    sandbox.dispute(payment.reference, "won")
    states = [each.state for each in (await at_sandbox.look(payment, now=NOW)).disputes]
    assert states == [DisputeState.WON]


async def test_an_unknown_payment_is_unknown_and_takes_nothing(
    at_sandbox: StripeProcessor,
) -> None:
    payment = a_payment("pi_nobody")
    assert not (await at_sandbox.look(payment, now=NOW)).known
    assert await at_sandbox.find(payment, "rf") is None
    with pytest.raises(ProcessorError) as caught:
        await at_sandbox.submit(a_submission(payment))
    assert caught.value.trouble.verdict is Verdict.REFUSED


async def test_lists_are_read_to_their_end(
    at_sandbox: StripeProcessor, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe_client, "PAGE", 3)
    payment = paid(sandbox)
    for number in range(8):
        await at_sandbox.submit(a_submission(payment, amount=10, refund_id=f"rf-{number}"))
    look = await at_sandbox.look(payment, now=NOW)
    assert {each.refund_id for each in look.refunds} == {f"rf-{n}" for n in range(8)}
    now = WallClock().now()
    for begin, end, count in ((now - DAY, now + DAY, 8), (now - 2 * DAY, now - DAY, 0)):
        listed = [each async for each in at_sandbox.refunds_between(begin, end)]
        ours = [each for each in listed if each.payment_reference == payment.reference]
        assert len(ours) == count


async def test_a_new_charge_is_found_by_its_reversal_and_by_nobody_elses(
    sandbox: Sandbox, at_sandbox: StripeProcessor
) -> None:
    payment = a_payment(f"pi_{uuid4().hex}")
    sandbox.pay(payment.reference, behaviour="pending")
    wish = a_submission(payment, key=f"rv:{payment.reference}")
    metadata = {"reversal_id": f"rv-{payment.reference}", "order_id": "o-1"}
    made = await at_sandbox.charge(replace(wish, metadata=metadata))
    assert made.status is SeenStatus.PENDING

    async def found() -> SeenCharge | None:
        return await at_sandbox.find_charge(payment, metadata["reversal_id"], NOW)

    async def arrived() -> bool:
        seen = await found()
        return seen is not None and seen.status is SeenStatus.SUCCEEDED

    assert await found() == made
    await wait_for(arrived, what="the bank debit arrives")
    assert await at_sandbox.find_charge(payment, "rv-other", NOW) is None
    other = a_payment(f"pi_{uuid4().hex}")
    sandbox.pay(other.reference)
    assert await at_sandbox.find_charge(other, metadata["reversal_id"], NOW) is None
    listed = [each async for each in at_sandbox.charges_since(NOW)]
    assert [each.order_id for each in listed if each.reference == made.reference] == ["o-1"]


async def test_a_pending_refund_settles_and_a_settled_one_may_fail_later(
    at_sandbox: StripeProcessor, sandbox: Sandbox
) -> None:
    for behaviour, end in (("pending", SeenStatus.SUCCEEDED), ("fails_later", SeenStatus.FAILED)):
        payment = paid(sandbox, behaviour)
        made = await at_sandbox.submit(a_submission(payment))
        assert made.status is not SeenStatus.FAILED

        async def ended(payment: Any = payment, made: Any = made, end: Any = end) -> bool:
            seen = await at_sandbox.find(payment, "rf", made.reference)
            return seen is not None and seen.status is end

        await wait_for(ended, what=f"the refund is {end}")


async def test_a_processor_that_is_away_got_nothing() -> None:
    port = processes.free_port()
    away = StripeProcessor(
        name="sandbox",
        key="sk_test_1",
        base=f"http://127.0.0.1:{port}",
        breaker=Breaker(WallClock()),
    )
    with pytest.raises(ProcessorError) as caught:
        await away.submit(a_submission(a_payment("pi_1")))
    assert caught.value.trouble.verdict is Verdict.NOT_SENT
    assert caught.value.trouble.code == "unreachable"
    await away.close()


async def test_stripe_accepts_the_shape_of_every_request_we_send(
    at_mock: StripeProcessor,
) -> None:
    for reference in ("pi_123", "ch_123"):
        payment = a_payment(reference)
        await at_mock.look(payment, now=NOW, with_refunds=True)
        made = await at_mock.submit(a_submission(payment, amount=100))
        assert made.reference.startswith("re_")
        await at_mock.find(payment, "rf")
        await at_mock.find(payment, "rf", "re_123")
        await at_mock.cancel("re_123")
    listed = [each async for each in at_mock.refunds_between(NOW, NOW + DAY)]
    assert listed
    for reference in ("pi_123", "ch_123"):
        charge = await at_mock.charge(a_submission(a_payment(reference), amount=100))
        assert charge.status is SeenStatus.FAILED, "the mock's intent is never paid"
        assert await at_mock.find_charge(a_payment(reference), "rv-1", NOW) is None
    assert not [each async for each in at_mock.charges_since(NOW)], "none has our metadata"


async def test_stripe_would_refuse_a_shape_that_it_does_not_know(mock_url: str) -> None:
    async with httpx.AsyncClient(base_url=mock_url) as client:
        answer = await client.post(
            "/v1/refunds",
            data={"payment_intent": "pi_1", "destination": "another card"},
            headers={"Authorization": "Bearer sk_test_123"},
        )
    assert answer.status_code == 400, "the mock is alive and validates"
