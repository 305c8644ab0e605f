"""What a run costs: processor time by process, commits, write-ahead log, messages, memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import TOPICS

MEBIBYTE = 1024 * 1024
COUNTED = (
    "returns_batch_messages_count",
    "returns_batch_messages_sum",
    "returns_sql_round_trips_total",
)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Totals since the start of the system; subtract two of them."""

    cpu_seconds: dict[str, float]
    resident_mib: dict[str, float] = field(default_factory=dict)
    commits: int = 0
    wal_bytes: int = 0
    messages: int = 0
    message_bytes: int = 0
    batches: dict[str, float] = field(default_factory=dict)
    """Transactions of the pipeline, by service."""
    handled: dict[str, float] = field(default_factory=dict)
    """Messages in them, by service."""
    round_trips: dict[str, float] = field(default_factory=dict)
    """Statements sent to the store, of every kind, by service."""

    def since(self, before: Usage) -> Usage:
        return Usage(
            cpu_seconds=_less(self.cpu_seconds, before.cpu_seconds),
            resident_mib=self.resident_mib,
            commits=self.commits - before.commits,
            wal_bytes=self.wal_bytes - before.wal_bytes,
            messages=self.messages - before.messages,
            message_bytes=self.message_bytes - before.message_bytes,
            batches=_less(self.batches, before.batches),
            handled=_less(self.handled, before.handled),
            round_trips=_less(self.round_trips, before.round_trips),
        )


def _less(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


async def now(system: Any) -> Usage:
    """The usage of a running `services.ops.system.System` and of this driver."""
    addresses = system.addresses
    processes = {name: [psutil.Process(pid)] for name, pid in addresses["processes"].items()}
    for name, part in (("postgres", system.parts.server), ("kafka", system.parts.broker)):
        if part is not None:
            root = psutil.Process(part.process.pid)
            processes[name] = [root, *root.children(recursive=True)]
    processes["driver"] = [psutil.Process()]
    commits, wal_bytes = await _postgres(addresses["databases"])
    counted = await _counted(addresses)
    return Usage(
        cpu_seconds={name: sum(map(_cpu, group)) for name, group in processes.items()},
        resident_mib={
            name: sum(each.memory_info().rss for each in group) / MEBIBYTE
            for name, group in processes.items()
            if name not in ("postgres", "driver")  # shared pages would be counted many times
        },
        commits=commits,
        wal_bytes=wal_bytes,
        messages=await _messages(addresses["kafka"]),
        message_bytes=_log_bytes(Path(addresses["home"]) / "kafka"),
        batches=counted["returns_batch_messages_count"],
        handled=counted["returns_batch_messages_sum"],
        round_trips=counted["returns_sql_round_trips_total"],
    )


async def _counted(addresses: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Metric -> service -> its value now."""
    counted: dict[str, dict[str, float]] = {name: {} for name in COUNTED}
    async with httpx.AsyncClient(timeout=10) as client:
        for service in addresses["databases"]:
            page = (await client.get(f"{addresses[service]}/metrics")).text
            for line in page.splitlines():
                name = line.partition("{")[0]
                if name in counted:
                    value = float(line.rpartition(" ")[2])
                    counted[name][service] = counted[name].get(service, 0) + value
    return counted


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    # A backend that has ended leaves its time with the postmaster.
    return float(times.user + times.system + times.children_user + times.children_system)


async def _postgres(databases: dict[str, str]) -> tuple[int, int]:
    commits, wal = 0, 0
    for url in databases.values():
        connection = await asyncpg.connect(url)
        try:
            commits += await connection.fetchval(
                "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            )
            wal = await connection.fetchval("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")
        finally:
            await connection.close()
    return commits, wal


async def _messages(bootstrap: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic.name, number)
            for topic in TOPICS
            for number in range(topic.partitions)
        ]
        ends = await consumer.end_offsets(partitions)
        return sum(ends.values())
    finally:
        await consumer.stop()


def _log_bytes(folder: Path) -> int:
    """Of all record logs of an embedded Kafka; 0 for a broker that keeps nothing on disk."""
    return sum(file.stat().st_size for file in folder.rglob("*-*/*.log"))
