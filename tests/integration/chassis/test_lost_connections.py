"""On uvloop, what Kafka's client does when a connection is gone and nobody has told it yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from services.chassis import lost_connections
from services.testing.backend import Broker
from tests.waiting import wait_for

Work = Callable[[AIOKafkaClient, AIOKafkaConnection], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def told_of() -> None:
    lost_connections.are_told()


async def lose(connection: AIOKafkaConnection) -> None:
    """As in the moment after a reset: the transport is closed, the client's reader not yet awake.

    A service may be in it for a long time: the broker dies while the event loop is busy.
    """
    transport = connection._writer.transport
    connection._read_task.cancel()
    connection._reader = asyncio.StreamReader()
    transport.abort()

    def closed() -> bool:
        return "closed=True" in repr(transport)

    await wait_for(closed)
    assert connection.connected()


def on_uvloop(broker: Broker, work: Work) -> None:
    async def main() -> None:
        client = AIOKafkaClient(bootstrap_servers=broker.bootstrap)
        await client.bootstrap()
        try:
            node = client.get_random_node()
            assert await client.ready(node)
            await work(client, client._conns[(node, ConnectionGroup.DEFAULT)])
        finally:
            await client.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def test_a_request_over_a_lost_connection_fails_as_every_lost_request_does(
    broker: Broker,
) -> None:
    async def sends(_: AIOKafkaClient, connection: AIOKafkaConnection) -> None:
        await lose(connection)
        with pytest.raises(KafkaConnectionError):
            await connection.send(MetadataRequest([]))
        assert not connection.connected()

    on_uvloop(broker, sends)


def test_the_client_goes_on_learning_where_the_partitions_are(broker: Broker) -> None:
    async def learns(client: AIOKafkaClient, connection: AIOKafkaConnection) -> None:
        await lose(connection)
        await wait_for(client.force_metadata_update)

    on_uvloop(broker, learns)
