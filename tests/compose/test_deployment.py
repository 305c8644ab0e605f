"""What a platform engineer is promised of `docker compose up --build --wait`."""

from __future__ import annotations

import asyncio
import json
import os
import signal

import pytest

from services.ops.demo.scenarios import SCENARIOS
from tests.compose.deployment import IMAGE, Deployment, docker
from tests.compose.storm import Storm
from tests.waiting import wait_until

HEALTHY_SECONDS_MAX = 90
BASE = "python:3.13-slim"
IMAGE_BYTES_MAX = 250_000_000
MEMORY_BYTES_MAX = 2_500_000_000
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
ENGINE_SECONDS_MAX = 60
OURS = ("commerce", "fulfillment", "payment", "gateway", "sandbox")
LASTING = (*OURS, "kafka", "postgres")


def until_healthy(deployment: Deployment, container: str) -> None:
    wait_until(
        lambda: deployment.is_healthy(container),
        seconds=ENGINE_SECONDS_MAX,
        what=f"the health of {container}",
    )


def test_everything_is_healthy_within_ninety_seconds(deployment: Deployment) -> None:
    print(f"healthy after {deployment.healthy_after_seconds:.1f} s")
    assert deployment.healthy_after_seconds <= HEALTHY_SECONDS_MAX


def test_the_image_puts_at_most_250_megabytes_on_its_base(deployment: Deployment) -> None:
    ours, base = (int(docker("inspect", "-f", "{{.Size}}", name)) for name in (IMAGE, BASE))
    print(f"{(ours - base) / 1e6:.0f} MB on top of the base")
    assert ours - base <= IMAGE_BYTES_MAX


def test_every_scenario_ends_as_its_story_says(deployment: Deployment) -> None:
    told = deployment.returns("demo", "all", "--running", "--json").stdout
    ends = [line for line in map(json.loads, told.splitlines()) if "verified" in line]
    assert ends == [{"verified": True, "failing": []}] * len(SCENARIOS)
    assert deployment.returns("reconcile").returncode == 0
    assert deployment.returns("doctor").returncode == 0


def test_all_of_it_takes_at_most_two_and_a_half_gigabytes(deployment: Deployment) -> None:
    limits = {
        service: deployment.inspect(container)["HostConfig"]["Memory"]
        for service in LASTING
        for container in deployment.containers(service)
    }
    listing = docker("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}")
    used = {
        name: in_bytes(taken)
        for name, taken, *_ in map(str.split, listing.splitlines())
        if name.startswith(f"{deployment.name}-")
    }
    print(*(f"{name} {taken / 1e6:.0f} MB" for name, taken in used.items()), sep="\n")
    print(f"{sum(used.values()) / 1e6:.0f} MB used, {sum(limits.values()) / 1e6:.0f} MB at most")
    assert len(used) == len(LASTING)
    assert sum(used.values()) <= MEMORY_BYTES_MAX
    assert all(limits.values())
    assert sum(limits.values()) <= MEMORY_BYTES_MAX


def in_bytes(told: str) -> float:
    """Of a figure of `docker stats`, as `431.2MiB`."""
    number = told.rstrip("BKMGi")
    return float(number) * UNITS[told.removeprefix(number)]


@pytest.mark.parametrize("service", OURS)
def test_our_containers_run_without_root_and_cannot_write(
    deployment: Deployment, service: str
) -> None:
    [container] = deployment.containers(service)
    found = deployment.inspect(container)
    assert found["Config"]["User"] not in ("", "0", "root")
    assert found["Config"]["StopSignal"] == "SIGTERM"
    assert found["HostConfig"]["ReadonlyRootfs"]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    secrets = [value for value in deployment.secrets.values() if len(value) >= 32]
    assert not [secret for secret in secrets if secret in json.dumps(found["Config"])]


def test_ports_are_published_on_loopback_only(deployment: Deployment) -> None:
    published = [
        binding["HostIp"]
        for service in LASTING
        for container in deployment.containers(service)
        for bindings in deployment.inspect(container)["NetworkSettings"]["Ports"].values()
        for binding in bindings or ()
    ]
    assert set(published) == {"127.0.0.1"}


def test_a_process_that_dies_is_started_again(deployment: Deployment) -> None:
    [container] = deployment.containers("payment")
    before = deployment.inspect(container)["State"]["Pid"]
    try:
        os.kill(before, signal.SIGKILL)
    except (PermissionError, ProcessLookupError):
        pytest.skip("the engine's processes are not ours to kill here")
    wait_until(
        lambda: deployment.inspect(container)["State"]["Pid"] not in (0, before),
        seconds=ENGINE_SECONDS_MAX,
        what="a new process of payment",
    )
    until_healthy(deployment, container)


@pytest.mark.asyncio
@pytest.mark.timeout(500)
async def test_a_kill_of_each_service_in_turn_loses_nothing(deployment: Deployment) -> None:
    storm = Storm(deployment=deployment)

    async def kill_each() -> None:
        for service in LASTING:
            [container] = deployment.containers(service)
            await asyncio.to_thread(deployment.compose, "kill", "-s", "KILL", service)
            await storm.more_arrive()  # while it is away
            await asyncio.to_thread(docker, "start", container)
            await asyncio.to_thread(until_healthy, deployment, container)

    await storm.during(kill_each)
    print(f"{len(storm.requests)} returns went through {len(LASTING)} kills")
    await storm.assert_nothing_was_lost()
    assert deployment.returns("reconcile").returncode == 0
    assert json.loads(deployment.returns("quarantine", "list", "--json").stdout) == []
