"""What to create on a broker: the table of `contracts.topics`, as one broker names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.topics import TOPICS

MILLISECONDS = 1000


@dataclass(frozen=True, kw_only=True)
class NamedTopic:
    """`config` is Kafka's own topic configuration."""

    name: str
    partitions: int
    config: Mapping[str, str]


def all_topics(prefix: str = "") -> tuple[NamedTopic, ...]:
    """Every topic of the system; compacted where the table names no retention."""
    return tuple(
        NamedTopic(
            name=f"{prefix}{topic.name}",
            partitions=topic.partitions,
            config={"cleanup.policy": "compact"}
            if topic.retention is None
            else {
                "cleanup.policy": "delete",
                "retention.ms": str(int(topic.retention.total_seconds()) * MILLISECONDS),
            },
        )
        for topic in TOPICS
    )
