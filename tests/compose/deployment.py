"""The compose file, brought up under a name of its own on free ports."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.ops.embedded import processes

ROOT = Path(__file__).parents[2]
UP_SECONDS_MAX = 240
RUN_SECONDS_MAX = 180
IMAGE = f"returns:{os.environ.get('RETURNS_TAG', 'local')}"
READ_FOLDER = (
    "import json, pathlib; print(json.dumps({f.name: f.read_text()"
    " for f in pathlib.Path('/run/secrets').iterdir()}))"
)
PORTS = {"GATEWAY_PORT": ("gateway", "8080"), "PAYMENT_PORT": ("payment", "8082"),
         "SANDBOX_PORT": ("sandbox", "8090"), "KAFKA_PORT": ("kafka", "9095")}  # fmt: skip


def engine_answers() -> bool:
    """Whether a container engine with Compose runs here."""
    try:
        asked = subprocess.run(["docker", "compose", "ls"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return asked.returncode == 0


@dataclass(kw_only=True)
class Deployment:
    """A running system. `kafka`, `gateway` and `sandbox` are addresses on this machine."""

    name: str
    files: tuple[str, ...]
    environment: dict[str, str]
    healthy_after_seconds: float = 0
    secrets: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def gateway(self) -> str:
        """Of the first instance."""
        return f"http://{self.compose('port', '--index', '1', 'gateway', '8080').stdout.strip()}"

    @property
    def sandbox(self) -> str:
        return f"http://127.0.0.1:{self.environment['SANDBOX_PORT']}"

    @property
    def kafka(self) -> str:
        ports = [port for name, port in self.environment.items() if name.startswith("KAFKA")]
        return ",".join(f"127.0.0.1:{port}" for port in ports)

    def login(self, principal: str) -> dict[str, Any]:
        """Arguments of an aiokafka client that logs in as this principal."""
        return {
            "bootstrap_servers": self.kafka,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": principal,
            "sasl_plain_password": self.secrets[f"{principal}-kafka-password"],
        }

    def compose(
        self, *arguments: str, check: bool = True, seconds: float = RUN_SECONDS_MAX
    ) -> subprocess.CompletedProcess[str]:
        """Run one `docker compose` command of this deployment."""
        files = [part for file in self.files for part in ("--file", file)]
        done = subprocess.run(
            ["docker", "compose", "--project-name", self.name, *files, *arguments],
            cwd=ROOT,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def returns(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the `returns` command inside."""
        return self.compose("run", "--rm", "-T", "returns", *arguments, check=check)

    def python(self, script: str) -> Any:
        """What a script prints as JSON, run inside with the operator's secrets."""
        done = self.compose("run", "--rm", "-T", "--entrypoint", "python", "returns", "-c", script)
        return json.loads(done.stdout)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, also of those that do not run."""
        return self.compose("ps", "--all", "--quiet", service).stdout.split()

    def inspect(self, container: str) -> dict[str, Any]:
        found = docker("inspect", container)
        first: dict[str, Any] = json.loads(found)[0]
        return first

    def is_healthy(self, container: str) -> bool:
        return bool(self.inspect(container)["State"]["Health"]["Status"] == "healthy")


def docker(*arguments: str) -> str:
    """The output of one `docker` command."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def secrets_of(name: str) -> dict[str, str]:
    """File name -> content, of all that the first start made."""
    found: dict[str, str] = json.loads(
        docker(
            *("run", "--rm", "-v", f"{name}_secrets-operator:/run/secrets:ro"),
            *("--entrypoint", "python", IMAGE, "-c", READ_FOLDER),
        )
    )
    return found


def running(name: str) -> Deployment:
    """One that somebody else has brought up, and will take down."""
    made = Deployment(name=name, files=("docker-compose.yml",), environment={})
    for variable, where in PORTS.items():
        made.environment[variable] = made.compose("port", *where).stdout.rpartition(":")[2].strip()
    made.secrets = secrets_of(name)
    return made


@contextmanager
def deployed(
    name: str, *overrides: str, ports: Sequence[str] = tuple(PORTS)
) -> Iterator[Deployment]:
    """Up until everything is healthy; down with all its data whatever happens.

    `healthy_after_seconds` is that of `up --build --wait` where the image was built before.
    """
    made = Deployment(
        name=name,
        files=("docker-compose.yml", *overrides),
        environment={port: str(processes.free_port()) for port in ports},
    )
    try:
        made.compose("build", "--quiet", "secrets", seconds=UP_SECONDS_MAX)
        begun = time.monotonic()
        up = made.compose("up", "--build", "--wait", check=False, seconds=UP_SECONDS_MAX)
        made.healthy_after_seconds = time.monotonic() - begun
        if up.returncode != 0:
            state = made.compose("ps", "--all", check=False).stdout
            logs = made.compose("logs", "--no-color", "--tail", "30", check=False).stdout
            raise AssertionError(f"not healthy: {up.stderr[-2000:]}\n{state}\n{logs[-8000:]}")
        made.secrets = secrets_of(name)
        yield made
    finally:
        made.compose("--profile", "tools", "down", "--volumes", "--timeout", "15", check=False)
