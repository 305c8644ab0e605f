"""The OpenTelemetry collector itself, run with the configuration that we ship."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from services.ops.embedded.processes import free_port
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = ROOT / "deploy" / "observability" / "collector.yaml"
BUILT = ROOT / ".cache" / "collector"
HOW_TO_GET_IT = "otelcol is not installed: `make collector` builds it (needs Go)"
START_SECONDS_MAX = 60


def binary() -> str | None:
    """Of OTELCOL, of the path, or what `make collector` built; None where there is none."""
    found = os.environ.get("OTELCOL") or shutil.which("otelcol") or str(BUILT)
    return found if Path(found).exists() else None


@dataclass(frozen=True, kw_only=True)
class Relay:
    """A collector between services and whatever keeps their spans."""

    endpoint: str
    figures: str

    def counts(self, metric: str) -> float:
        """The sum of one of the collector's own metrics over its labels; 0 before the first."""
        text = httpx.get(self.figures, timeout=20).text
        rows = re.findall(rf"^{metric}(?:_total)?(?:\{{.*\}})? (\S+)$", text, re.MULTILINE)
        return sum(map(float, rows))


@contextmanager
def relaying(program: str, folder: Path, traces_endpoint: str) -> Iterator[Relay]:
    """Ours with free ports of the loopback interface, until it answers; ended afterwards."""
    listen, figures = f"127.0.0.1:{free_port()}", free_port()
    reader = {"pull": {"exporter": {"prometheus": {"host": "127.0.0.1", "port": figures}}}}
    ports = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": listen}}}},
        "service": {"telemetry": {"metrics": {"readers": [reader]}}},
    }
    (folder / "ports.yaml").write_text(yaml.safe_dump(ports))
    command = [program, f"--config={CONFIGURATION}", f"--config={folder / 'ports.yaml'}"]
    log = folder / "collector.log"
    with (
        log.open("w") as written,
        subprocess.Popen(
            command,
            stdout=written,
            stderr=written,
            env=os.environ | {"TRACES_ENDPOINT": traces_endpoint},
        ) as process,
    ):
        try:
            relay = Relay(
                endpoint=f"http://{listen}", figures=f"http://127.0.0.1:{figures}/metrics"
            )

            def answers() -> bool:
                assert process.poll() is None, log.read_text()[-3000:]
                try:
                    asked = httpx.post(f"{relay.endpoint}/v1/traces", json={}, timeout=20)
                except httpx.TransportError:
                    return False
                return asked.is_success

            wait_until(answers, seconds=START_SECONDS_MAX, what="the collector's answer")
            yield relay
        finally:
            process.terminate()
