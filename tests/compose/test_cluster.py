"""Three brokers and two instances of each service: any one of them may go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.compose.deployment import PORTS, Deployment, deployed, docker, engine_answers
from tests.compose.storm import Storm
from tests.waiting import wait_until

OVERRIDE = "deploy/compose/cluster.yml"
CLUSTER_PORTS = (*PORTS, "KAFKA_2_PORT", "KAFKA_3_PORT")
HEALTHY_SECONDS_MAX = 120
TWICE = ("commerce", "fulfillment", "payment", "gateway")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Deployment]:
    """Of its own, and gone before the other tests' deployment is needed."""
    if not engine_answers():
        pytest.skip("no container engine with Compose answers here")
    with deployed("returns-cluster", OVERRIDE, ports=CLUSTER_PORTS) as made:
        print(f"healthy after {made.healthy_after_seconds:.1f} s")
        yield made


@pytest.mark.asyncio
@pytest.mark.timeout(500)
async def test_a_broker_and_an_instance_of_each_service_may_go_in_the_middle(
    cluster: Deployment,
) -> None:
    storm = Storm(deployment=cluster)
    survivors = {service: cluster.containers(service)[0] for service in TWICE}
    victims = [cluster.containers(service)[1] for service in TWICE]
    victims += cluster.containers("kafka-2")

    async def kill_and_start_again() -> None:
        await storm.more_arrive(5)  # those that are hit are in the middle of their way
        await asyncio.to_thread(docker, "kill", "--signal", "KILL", *victims)
        await storm.goes_on()
        for service, container in survivors.items():
            assert cluster.is_healthy(container), f"{service} does not go on alone"
        await asyncio.to_thread(docker, "start", *victims)
        await asyncio.to_thread(until_healthy, cluster, victims)

    await storm.during(kill_and_start_again)
    print(f"{len(storm.requests)} returns went through {len(victims)} kills at once")
    await storm.assert_nothing_was_lost()
    assert cluster.returns("reconcile").returncode == 0


def until_healthy(cluster: Deployment, containers: list[str]) -> None:
    try:
        wait_until(
            lambda: all(cluster.is_healthy(each) for each in containers),
            seconds=HEALTHY_SECONDS_MAX,
            what="the health of those that were killed",
        )
    except AssertionError as error:
        said = {
            found["Name"]: (found["State"]["Status"], found["State"]["Health"]["Log"][-1]["Output"])
            for found in map(cluster.inspect, containers)
            if found["State"]["Health"]["Status"] != "healthy"
        }
        raise AssertionError(f"{error}: {said}") from None
