"""The consuming side of the bus: one FastStream batch subscriber over all topics of a service.

Records are parsed in the pipeline, so that none can break the consumer; offsets are committed
after the store's commit; a batch that could not be stored is rewound and comes again.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import KafkaAckableMessage
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from services.chassis import faults, telemetry
from services.chassis.errors import Transient
from services.chassis.membership import Membership
from services.chassis.offsets import Offsets
from services.chassis.pace import Pace
from services.chassis.pipeline import Pipeline, Record
from services.chassis.settings import Settings

BATCH_RECORDS_MAX = 200
POLL_MS = 1_000
BACKOFF_SECONDS_MIN = 0.1
BACKOFF_SECONDS_MAX = 3.0
SESSION_TIMEOUT_MS = 10_000
MOCK_SESSION_TIMEOUT_MS = 3_000
HEARTBEAT_MS = 1_000
POLL_INTERVAL_MS_MAX = 300_000
METADATA_AGE_MS_MAX = 30_000
REQUEST_MS_MAX = 20_000
"""After this an unanswered request is given up. Longer than a session and the draining of a batch,
for which those who join a group have to wait; shorter than the half minute a fault may cost."""
DRAIN_SECONDS_MAX = 20.0
PING_SECONDS_MAX = 2.0
POSITION_SECONDS_MAX = 0.2
LOGIN_MS_MAX = 3_000
WATCH_SECONDS = 10.0
STOP_SECONDS_MAX = 20.0
SASL = {
    "PLAIN": SASLPlaintext,
    "SCRAM-SHA-256": SASLScram256,
    "SCRAM-SHA-512": SASLScram512,
}


def security(settings: Settings) -> BaseSecurity | None:
    """FastStream's security object for the configured protocol; None for PLAINTEXT."""
    if settings.kafka_security_protocol == "PLAINTEXT":
        return None
    context = ssl.create_default_context() if _encrypted(settings) else None
    if not settings.kafka_security_protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context, use_ssl=True)
    return SASL[settings.kafka_sasl_mechanism](
        username=settings.kafka_sasl_username,
        password=settings.kafka_sasl_password,
        ssl_context=context,
        use_ssl=_encrypted(settings),
    )


def client_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of a plain aiokafka client for the configured broker."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers(),
        "security_protocol": settings.kafka_security_protocol,
        "metadata_max_age_ms": METADATA_AGE_MS_MAX,
        "request_timeout_ms": REQUEST_MS_MAX,
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        arguments |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password,
        }
    if _encrypted(settings):
        arguments["ssl_context"] = ssl.create_default_context()
    return arguments


async def check(settings: Settings) -> None:
    """Raises SystemExit, in one sentence, where waiting for the broker would not help."""
    arguments = client_arguments(settings)
    servers = arguments.pop("bootstrap_servers")
    for name in ("metadata_max_age_ms", "request_timeout_ms"):
        del arguments[name]
    refusal = None
    for host, port, _ in collect_hosts(servers):
        try:
            connection = await create_conn(host, port, request_timeout_ms=LOGIN_MS_MAX, **arguments)
        except (SaslAuthenticationFailed, UnsupportedSaslMechanismError) as error:
            # A broker that is still starting may not know its users yet: another one does.
            refusal = f"{host}:{port} refuses {settings.kafka_sasl_username}: {error}"
        except (OSError, TimeoutError, KafkaError) as error:
            telemetry.log.warning("broker_unreachable", error=type(error).__name__)
        else:
            connection.close()
            return
    if refusal is not None:
        raise SystemExit(f"KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD: {refusal}")


def _encrypted(settings: Settings) -> bool:
    return settings.kafka_security_protocol.endswith("SSL")


class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """Feeds the pipeline from the topics that the service reads."""

    def __init__(self, pipeline: Pipeline, topics: Sequence[str], settings: Settings) -> None:
        self._pipeline = pipeline
        self._prefix = settings.topic_prefix
        self._failures = 0
        self._turns = 0
        self._pace = Pace(pipeline.service.batches_per_second_max)
        self._idle = asyncio.Event()
        self._idle.set()
        self._store_fails: str | None = None
        self.broker_fails: str | None = "starting"
        self.broker = KafkaBroker(
            settings.bootstrap_servers().split(","),
            security=security(settings),
            metadata_max_age_ms=METADATA_AGE_MS_MAX,
            request_timeout_ms=REQUEST_MS_MAX,
            allow_auto_create_topics=False,
            consumer_only=True,
            parser=self._unparsed,
            decoder=_undecoded,
            logger=None,
            apply_types=False,
        )
        # librdkafka's broker knows no static members, and every join waits for the session's end.
        mock = settings.embedded_broker == "librdkafka"
        group = settings.topic(pipeline.service.name)
        self._membership = Membership(group, settings.bootstrap_servers())
        self.subscriber = self.broker.subscriber(
            *(settings.topic(name) for name in topics),
            batch=True,
            group_id=group,
            group_instance_id=None if mock else self._membership.take(),
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            session_timeout_ms=MOCK_SESSION_TIMEOUT_MS if mock else SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_interval_ms=POLL_INTERVAL_MS_MAX,
            listener=self,
            no_reply=True,
        )
        self.subscriber(self._on_batch)
        # The library's own poll sleeps after each empty one, which delays what arrives then.
        self.subscriber.get_msg = self._poll  # type: ignore[method-assign]
        self.offsets = Offsets(lambda: self.subscriber.consumer)

    @property
    def failing(self) -> str | None:
        """Why nothing is consumed at present; None when all is well."""
        return self.broker_fails or self._store_fails

    async def start(self) -> None:
        """Raises KafkaError while the broker cannot be reached."""
        await self.broker.start()

    async def until_it_stands_still(self) -> None:
        """Returns when records have waited for two looks in a row and none was taken up.

        The library's own tasks can end for good without a word. One cause is known and mended
        (`lost_connections`); this is for the ones that are not.
        """
        looks, turns, knows = 0, self._turns, False
        while looks < 2:
            await asyncio.sleep(WATCH_SECONDS)
            knows = knows or self._learns_who_leads()
            quiet = self._turns == turns and self._idle.is_set() and self._store_fails is None
            turns = self._turns
            looks = looks + 1 if quiet and await self._is_behind() else 0

    def _learns_who_leads(self) -> bool:
        """Whether it is in the group; joins once more where it may lead without knowing it.

        A worker that takes over the name of the leader is not told that it leads (KIP-814), and a
        leader that does not know it never notices new partitions: nobody would read them. Asked
        again it is told; a follower gets its old share back, and nobody else hears of it.
        """
        consumer = self.subscriber.consumer
        if consumer is None or self.broker_fails is not None:
            return False
        if consumer._coordinator._group_subscription is None:
            consumer._coordinator.request_rejoin()
        return True

    async def _is_behind(self) -> bool:
        consumer = self.subscriber.consumer
        if consumer is None or not self.subscriber.running:
            return False
        try:
            async with asyncio.timeout(WATCH_SECONDS):
                ends = await consumer.end_offsets(consumer.assignment())
                return any([await consumer.position(each) < end for each, end in ends.items()])
        except (KafkaError, IllegalStateError, TimeoutError):
            return False  # nobody can tell

    async def give_up(self) -> None:
        """Let go of a consumer that cannot be used any more, so that it can be started anew."""
        with suppress(Exception):
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self.broker.stop()

    async def stop(self) -> None:
        """Finish the batch in hand, commit its offsets, leave the group."""
        self.subscriber.running = False
        await self._drain()
        await self.broker.stop()
        self._membership.release()

    async def ping(self) -> bool:
        """Whether the broker answers."""
        consumer = self.subscriber.consumer
        if consumer is None:
            return False
        try:
            await asyncio.wait_for(consumer.topics(), PING_SECONDS_MAX)
        except Exception:
            return False
        return True

    async def measure_lag(self) -> None:
        """Set the gauge of records not handled yet, as the broker's last answers tell it."""
        telemetry.LAG.clear()
        consumer = self.subscriber.consumer
        if consumer is None:
            return
        for place in consumer.assignment():
            end, read = consumer.highwater(place), self.offsets.read.get(place)
            if read is None:
                with suppress(TimeoutError, IllegalStateError):
                    read = await asyncio.wait_for(consumer.position(place), POSITION_SECONDS_MAX)
            if end is not None and read is not None:
                labels = (self._pipeline.service.name, place.topic, str(place.partition))
                telemetry.LAG.labels(*labels).set(max(end - read, 0))

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Lets the batch in hand finish before its partitions go to somebody else."""
        if revoked:
            await self._drain()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """The group has given this worker its share, which may be nothing."""
        self.broker_fails = None

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                await self._idle.wait()
                await self.offsets.flush()
        except TimeoutError:
            telemetry.log.warning("drain_timed_out")

    async def _poll(self, consumer: Any) -> tuple[Any, ...]:
        await self._pace.wait()
        try:
            found = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS_MAX)
        except KafkaError as error:
            self.broker_fails = faults.described(error)
            telemetry.log.warning("poll_failed", error=type(error).__name__)
            raise
        batch = tuple(chain(*found.values()))
        if batch:
            self._turns += 1
            self.broker_fails = None
        if len(batch) < BATCH_RECORDS_MAX:  # a backlog is worked off at once
            self._pace.took(len(batch))
        return batch

    async def _unparsed(self, raw: Any) -> KafkaAckableMessage:
        """Headers that are not UTF-8 break FastStream's own parser, and would lose the batch."""
        return KafkaAckableMessage(
            body=b"", headers={}, raw_message=raw, consumer=self.subscriber.consumer
        )

    async def _on_batch(self, message: KafkaMessage) -> None:
        raw = message.raw_message
        batch = raw if isinstance(raw, tuple) else (raw,)
        self._idle.clear()
        self._measure_age(batch)
        try:
            await self._pipeline.process([self._record(each) for each in batch])
            self.offsets.advance(batch)
            self._failures, self._store_fails = 0, None
        except Exception as error:
            await self._come_again(batch, error)
        finally:
            self._idle.set()

    def _measure_age(self, batch: Sequence[Any]) -> None:
        oldest = min(record.timestamp for record in batch) / 1000
        seconds = self._pipeline.clock.now().timestamp() - oldest
        telemetry.INBOX_SECONDS.labels(self._pipeline.service.name).observe(max(seconds, 0))

    async def _come_again(self, batch: Sequence[Any], error: Exception) -> None:
        """Wait, then rewind each partition to its first record: the order is kept."""
        self._failures += 1
        self._store_fails = f"the store does not take records: {error}"
        telemetry.STALLED.labels(self._pipeline.service.name).inc()
        if not isinstance(error, Transient):
            telemetry.log.error("batch_failed", exc_info=error)
        telemetry.log.warning("batch_waits", reason=str(error), attempt=self._failures)
        await asyncio.sleep(backoff_seconds(self._failures))
        first: dict[TopicPartition, int] = {}
        for record in batch:
            place = TopicPartition(record.topic, record.partition)
            first[place] = min(record.offset, first.get(place, record.offset))
        for place, offset in first.items():
            try:
                self.subscriber.consumer.seek(place, offset)  # type: ignore[union-attr]
            except (IllegalStateError, AttributeError):
                telemetry.log.info("partition_gone", topic=place.topic)

    def _record(self, raw: Any) -> Record:
        return Record(
            topic=raw.topic.removeprefix(self._prefix),
            partition=raw.partition,
            offset=raw.offset,
            key=raw.key,
            headers=tuple((name, value or b"") for name, value in raw.headers),
            value=raw.value,
        )


def backoff_seconds(failures: int) -> float:
    """Doubling, with jitter, bounded."""
    ceiling = min(BACKOFF_SECONDS_MIN * 2.0 ** min(failures, 10), BACKOFF_SECONDS_MAX)
    return ceiling * random.uniform(0.5, 1)


async def _undecoded(message: Any) -> Any:
    return message
