"""Kafka's client on uvloop: a connection that is gone is told as one.

Writing to a closed transport raises RuntimeError on uvloop, and nothing on asyncio's own loop. The
client expects OSError (https://github.com/aio-libs/aiokafka/issues/1038, open), so that the task
that wrote ends for good: the one that fetches, whose end a consumer does not look at, or the one
that learns where partitions are. Such a consumer takes in nothing more, without a word.
"""

from __future__ import annotations

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError


def are_told() -> None:
    """From now on, in this process. Safe to call again."""
    AIOKafkaConnection.send = _send


def _send(self: Any, request: Any, expect_response: bool = True) -> Any:
    try:
        return _library_send(self, request, expect_response)
    except RuntimeError as error:
        self.close(reason=CloseReason.CONNECTION_BROKEN, exc=error)
        raise KafkaConnectionError(f"connection to {self.host}:{self.port} lost") from error


_library_send = AIOKafkaConnection.send
