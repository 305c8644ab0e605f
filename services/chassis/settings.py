"""Settings from the environment. Every name is public: see the README's table.

Each may also stand in a file that ``<NAME>_FILE`` names, as secrets do.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from services.chassis.environment import Environment

UNSCALED_WAIT_MAX = timedelta(minutes=1)
SCALED_WAIT_MIN = timedelta(seconds=1)
DATABASE_SCHEMES = ("postgresql://", "postgres://")
Port = Annotated[int, Field(ge=0, le=65535)]
"""0: any free one, where we start what listens."""
HOST_AND_PORT = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:/\s]+):\d{1,5}")


def default_home() -> Path:
    return Path.home() / ".cache" / "returns"


class Settings(Environment):
    kafka_bootstrap_servers: str = ""
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_sasl_username: str = ""
    kafka_sasl_password: str = ""
    topic_prefix: str = ""

    commerce_database_url: str = ""
    fulfillment_database_url: str = ""
    payment_database_url: str = ""
    gateway_database_url: str = ""
    chat_database_url: str = ""

    gateway_port: Port = 8080
    chat_port: Port = 8081
    payment_port: Port = 8082
    commerce_port: Port = 8083
    fulfillment_port: Port = 8084
    sandbox_port: Port = 8090
    listen_host: str = "127.0.0.1"
    sandbox_listen_host: str = "127.0.0.1"

    gateway_url: str = "http://127.0.0.1:8080"
    commerce_url: str = "http://127.0.0.1:8083"
    payment_url: str = "http://127.0.0.1:8082"
    sandbox_url: str = "http://127.0.0.1:8090"

    stripe_api_key: str = ""
    stripe_api_base: str = ""
    stripe_webhook_secret: str = "whsec_sandbox"  # noqa: S105 - the sandbox's own, no secret
    policy_path: str = ""
    smtp_url: str = ""
    otel_exporter_otlp_endpoint: str = ""
    log_level: str = "INFO"
    returns_api_keys_file: str = ""
    returns_home: Path = Field(default_factory=default_home)
    returns_time_scale: float = Field(default=1, ge=1)
    embedded_broker: Literal["auto", "kafka", "librdkafka"] = "auto"

    def database_url(self, service: str) -> str:
        """Raises SystemExit with one sentence when it is not set."""
        url = str(getattr(self, f"{service}_database_url"))
        if not url:
            raise SystemExit(f"{service.upper()}_DATABASE_URL is not set: name {service}'s store")
        if not url.startswith(DATABASE_SCHEMES):
            raise SystemExit(f"{service.upper()}_DATABASE_URL does not start with postgresql://")
        return url

    def bootstrap_servers(self) -> str:
        """host:port, several with commas.

        Raises SystemExit with one sentence when it is not set, or cannot be logged in to.
        """
        servers = [server.strip() for server in self.kafka_bootstrap_servers.split(",")]
        if servers == [""]:
            raise SystemExit("KAFKA_BOOTSTRAP_SERVERS is not set: name the broker as host:port")
        for server in servers:
            if not HOST_AND_PORT.fullmatch(server):
                raise SystemExit(f"KAFKA_BOOTSTRAP_SERVERS: {server!r} is not host:port")
        if self.kafka_security_protocol.startswith("SASL"):
            self._check_login()
        return ",".join(servers)

    def _check_login(self) -> None:
        for variable in ("kafka_sasl_username", "kafka_sasl_password"):
            if not getattr(self, variable):
                raise SystemExit(
                    f"{variable.upper()} is not set:"
                    f" KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol} needs it"
                )

    def port(self, service: str) -> int:
        return int(getattr(self, f"{service}_port"))

    def topic(self, name: str) -> str:
        """The broker's name of a topic."""
        return f"{self.topic_prefix}{name}"

    def webhook_secrets(self) -> tuple[str, ...]:
        """All live secrets; the first one signs."""
        return tuple(s.strip() for s in self.stripe_webhook_secret.split(",") if s.strip())

    def scaled(self, wait: timedelta) -> timedelta:
        """A wait as this system waits it: over a minute it is divided by RETURNS_TIME_SCALE."""
        if wait <= UNSCALED_WAIT_MAX or self.returns_time_scale == 1:
            return wait
        return max(wait / self.returns_time_scale, SCALED_WAIT_MIN)
