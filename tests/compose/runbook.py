"""The commands of RUNBOOK.md, run on a deployment in containers as an operator would run them."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from services.chassis import probe
from services.ops.stack import WITH_A_STORE
from tests.compose.deployment import IMAGE, ROOT, Deployment, docker

PAGE = (ROOT / "deploy" / "RUNBOOK.md").read_text()
BROKER = "kafka:9094"
LOGIN = "/etc/kafka/admin.properties"
TOOLS = "/opt/kafka/bin"
LOG = "gateway.log"
COMMAND_SECONDS_MAX = 120
WRITE = (
    "import sys; from pathlib import Path; Path('/secrets', sys.argv[1]).write_text(sys.argv[2])"
)


def commands(section: str) -> list[str]:
    """What a section tells to type, without comments; one that goes on over lines in one."""
    found = re.search(rf"^## {section}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"the runbook has no section {section}"
    typed = re.findall(r"^    (\S(?:.*\\\n)*.*)", found[1], re.MULTILINE)
    return [re.sub(r"\s+# .*|\\\n\s*", " ", each).strip() for each in typed]


@dataclass(kw_only=True)
class Operator:
    """Somebody with the runbook at hand."""

    deployment: Deployment
    folder: Path

    def types(self, command: str, *, check: bool = True) -> str:
        """What a command prints. `returns` and the tools are run where they are installed."""
        program = command.partition(" ")[0]
        if LOG in command:
            logs = self.deployment.compose("logs", "--no-color", LOG.partition(".")[0]).stdout
            (self.folder / LOG).write_text(logs)
        if program == "returns":
            done = self._returns(*command.split()[1:], check=check)
        elif program.startswith("kafka-"):
            done = self._inside("kafka", f"{TOOLS}/{command} --command-config {LOGIN}", check)
        elif program in ("psql", "pg_dump", "pg_restore"):
            done = self._inside("postgres", command, check)
        else:
            done = self._outside(command, check)
        return done.stdout + done.stderr

    def writes(self, name: str, text: str) -> None:
        """A file in the folder where commands are typed."""
        self.folder.chmod(0o755)
        (self.folder / name).write_text(text)

    def _returns(self, *arguments: str, check: bool) -> subprocess.CompletedProcess[str]:
        """With the operator's files at hand."""
        here = ("--volume", f"{self.folder}:/here:ro", "--workdir", "/here")
        command = ("run", "--rm", "-T", *here, "returns", *arguments)
        return self.deployment.compose(*command, check=check)

    def as_superuser(self, statement: str, *, database: str = "postgres") -> str:
        """What `psql` prints."""
        where = ("exec", "-T", "postgres", "psql", "-U", "postgres", "-d", database)
        return self.deployment.compose(*where, "-v", "ON_ERROR_STOP=1", "-Atc", statement).stdout

    def puts_secret(self, service: str, name: str, value: str) -> None:
        """Into the folder of secrets that only this service sees."""
        volume = f"{self.deployment.name}_secrets-{service}:/secrets"
        python = ("--entrypoint", "python", IMAGE, "-c", WRITE, name, value)
        docker("run", "--rm", "-v", volume, "--user", "0", *python)

    def restarts(self, *services: str) -> None:
        """And waits until they are ready again."""
        self.deployment.compose("restart", *services)
        self.deployment.compose("up", "--wait", "--no-deps", "--no-recreate", *services)

    def _inside(
        self, container: str, command: str, check: bool
    ) -> subprocess.CompletedProcess[str]:
        told = [
            part for name, value in self._settings().items() for part in ("-e", f"{name}={value}")
        ]
        return self.deployment.compose(
            *("exec", "-T", *told, container, "bash", "-c", command),
            check=check,
            seconds=COMMAND_SECONDS_MAX,
        )

    def _outside(self, command: str, check: bool) -> subprocess.CompletedProcess[str]:
        addresses = {f"{name.upper()}_URL": self._address(name) for name in WITH_A_STORE}
        key = {"RETURNS_API_KEY": self.deployment.secrets["api-key"]}
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=os.environ | addresses | key,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS_MAX,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def _address(self, service: str) -> str:
        """On the engine's own network: not every port is published on this machine."""
        [container] = self.deployment.containers(service)
        networks = self.deployment.inspect(container)["NetworkSettings"]["Networks"]
        [address] = [each["IPAddress"] for each in networks.values()]
        return f"http://{address}:{probe.PORTS[service]}"

    def _settings(self) -> dict[str, str]:
        secrets = self.deployment.secrets
        found = {"KAFKA_BOOTSTRAP_SERVERS": BROKER}
        superuser = urlsplit(secrets["postgres-url"])
        found["OWNER_URL"] = superuser._replace(path="/payment").geturl()
        for service in WITH_A_STORE:
            for kind in ("DATABASE_URL", "MIGRATION_DATABASE_URL"):
                name = f"{service.upper()}_{kind}"
                found[name] = secrets[name.lower().replace("_", "-")]
        return found
