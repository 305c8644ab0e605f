"""Asks a broker whether it answers, and creates topics on it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from services.chassis.settings import Settings
from services.ops.embedded.topics import NamedTopic

ANSWER_SECONDS_MAX = 30
SLICE_SECONDS = 1.0
RECONNECT_MILLISECONDS = 50
BROKERS_OWN_REPLICATION = -1


def client(bootstrap: str, settings: Settings | None = None) -> AdminClient:
    """A client for a broker that may still be starting; `settings` say how to log in."""
    # log_level 0: while a broker starts, refused connections are no news.
    arguments: dict[str, str | int | float | bool] = {
        "bootstrap.servers": bootstrap,
        "log_level": 0,
        "reconnect.backoff.ms": RECONNECT_MILLISECONDS,
        "reconnect.backoff.max.ms": RECONNECT_MILLISECONDS,
    }
    if settings is not None:
        arguments["security.protocol"] = settings.kafka_security_protocol
        if settings.kafka_sasl_username:
            arguments |= {
                "sasl.mechanism": settings.kafka_sasl_mechanism,
                "sasl.username": settings.kafka_sasl_username,
                "sasl.password": settings.kafka_sasl_password,
            }
    return AdminClient(arguments)


def answers(admin: AdminClient, *, seconds: float = 1) -> bool:
    """Whether a broker answers within so many seconds."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        # In slices: the library lets no signal through while it waits.
        with suppress(KafkaException):
            return bool(admin.list_topics(timeout=min(left, SLICE_SECONDS)).brokers)
    return False


def create_topics(
    admin: AdminClient,
    topics: Sequence[NamedTopic],
    *,
    replication: int = BROKERS_OWN_REPLICATION,
) -> None:
    """Create what does not exist yet, with its retention. Raises KafkaException."""
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=replication,
            config=dict(topic.config),
        )
        for topic in topics
    ]
    made: dict[str, Future[None]] = admin.create_topics(
        wanted, operation_timeout=ANSWER_SECONDS_MAX
    )
    for answer in made.values():
        try:
            answer.result(timeout=ANSWER_SECONDS_MAX)
        except KafkaException as refused:
            if refused.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
