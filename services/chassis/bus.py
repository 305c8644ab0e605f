"""The consuming side of the bus: one FastStream batch subscriber over all topics of a service.

Offsets are committed by hand, after the store's commit; a batch that could not be stored is
rewound. Parsing happens in the pipeline, so that no record can break the consumer.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from aiokafka import ConsumerRebalanceListener
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import KafkaAckableMessage
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from services.chassis.errors import Transient
from services.chassis.pipeline import Pipeline, Record
from services.chassis.settings import Settings
from services.chassis.telemetry import log

BATCH_RECORDS_MAX = 200
BATCH_WAIT_MS = 100
BACKOFF_SECONDS_MIN = 0.05
BACKOFF_SECONDS_MAX = 3.0
SESSION_TIMEOUT_MS = 10_000
HEARTBEAT_MS = 1_000
POLL_INTERVAL_MS_MAX = 300_000
DRAIN_SECONDS_MAX = 20.0
GRACE_SECONDS = 15.0
SASL = {
    "PLAIN": SASLPlaintext,
    "SCRAM-SHA-256": SASLScram256,
    "SCRAM-SHA-512": SASLScram512,
}


def security(settings: Settings) -> BaseSecurity | None:
    """FastStream's security object for the configured protocol; None for PLAINTEXT."""
    if settings.kafka_security_protocol == "PLAINTEXT":
        return None
    secure = settings.kafka_security_protocol.endswith("SSL")
    if not settings.kafka_security_protocol.startswith("SASL"):
        return BaseSecurity(use_ssl=secure)
    return SASL[settings.kafka_sasl_mechanism](
        username=settings.kafka_sasl_username,
        password=settings.kafka_sasl_password,
        use_ssl=secure,
    )


def client_arguments(settings: Settings) -> dict[str, Any]:
    """Arguments of a plain aiokafka client for the configured broker."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers(),
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_security_protocol.startswith("SASL"):
        arguments |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password,
        }
    if settings.kafka_security_protocol.endswith("SSL"):
        import ssl

        arguments["ssl_context"] = ssl.create_default_context()
    return arguments


class Drain(ConsumerRebalanceListener):  # type: ignore[misc]
    """Lets the batch in hand finish before its partitions go to somebody else."""

    def __init__(self) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self.assigned = asyncio.Event()

    async def on_partitions_revoked(self, revoked: Any) -> None:
        if revoked:
            try:
                await asyncio.wait_for(self.idle.wait(), DRAIN_SECONDS_MAX)
            except TimeoutError:
                log.warning("drain_timed_out")

    async def on_partitions_assigned(self, assigned: Any) -> None:
        self.assigned.set()


class Consumer:
    """Feeds the pipeline from the topics that the service reads."""

    def __init__(self, pipeline: Pipeline, topics: tuple[str, ...], settings: Settings) -> None:
        self._pipeline = pipeline
        self._drain = Drain()
        self._failures = 0
        self.failing: str | None = "starting"
        self.broker = KafkaBroker(
            settings.bootstrap_servers(),
            security=security(settings),
            allow_auto_create_topics=False,
            consumer_only=True,
            parser=self._unparsed,
            decoder=_undecoded,
            logger=None,
            graceful_timeout=GRACE_SECONDS,
            apply_types=False,
        )
        self.subscriber = self.broker.subscriber(
            *(settings.topic(name) for name in topics),
            batch=True,
            group_id=settings.topic(pipeline.service.name),
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            batch_timeout_ms=BATCH_WAIT_MS,
            max_records=BATCH_RECORDS_MAX,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            max_poll_interval_ms=POLL_INTERVAL_MS_MAX,
            listener=self._drain,
            no_reply=True,
        )
        self.subscriber(self._on_batch)

    @property
    def assigned(self) -> bool:
        """Whether the group has given this consumer its partitions."""
        return self._drain.assigned.is_set()

    async def start(self) -> None:
        """Raises KafkaError while the broker cannot be reached."""
        await self.broker.start()
        self.failing = None

    async def stop(self) -> None:
        await self.broker.stop()

    async def ping(self) -> bool:
        return await self.broker.ping(timeout=2.0)

    async def _unparsed(self, message: Any) -> KafkaAckableMessage:
        """Headers that are not UTF-8 break FastStream's own parser: the pipeline parses."""
        return KafkaAckableMessage(
            body=b"", headers={}, raw_message=message, consumer=self.subscriber.consumer
        )

    async def _on_batch(self, message: KafkaMessage) -> None:
        self._drain.idle.clear()
        try:
            raw = message.raw_message
            records = raw if isinstance(raw, tuple) else (raw,)
            await self._pipeline.process([_record(each) for each in records])
        except Transient as error:
            self.failing = str(error)
            self._failures += 1
            log.warning("batch_waits", error=str(error)[:200], tries=self._failures)
            await asyncio.sleep(backoff_seconds(self._failures))
            await message.nack()
        except BaseException:
            await message.nack()
            raise
        else:
            self.failing = None
            self._failures = 0
            await message.ack()
        finally:
            self._drain.idle.set()


def backoff_seconds(failures: int) -> float:
    """Doubling, with jitter, bounded."""
    ceiling = min(BACKOFF_SECONDS_MIN * 2 ** min(failures, 10), BACKOFF_SECONDS_MAX)
    return ceiling * random.uniform(0.5, 1)


async def _undecoded(message: Any) -> Any:
    return message


def _record(raw: Any) -> Record:
    return Record(
        topic=raw.topic,
        partition=raw.partition,
        offset=raw.offset,
        key=raw.key,
        headers=tuple((name, value or b"") for name, value in raw.headers),
        value=raw.value,
    )
