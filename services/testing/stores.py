"""A migrated template database per service, cloned for each test in some 30 ms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from services.chassis import ids
from services.chassis.migrate import migrate, role_of
from services.ops.embedded.postgres import Database, Server

Versions = Path | None


@dataclass
class Stores:
    """`clone("commerce")` gives a store of commerce that nobody else uses."""

    server: Server
    templates: dict[tuple[str, Versions], str] = field(default_factory=dict)

    def clone(self, service: str, *, versions: Versions = None) -> Database:
        template = self._template(service, versions)
        return self.server.clone(
            template, f"{service}_{ids.new().rpartition('-')[2]}", service=service
        )

    def drop(self, database: Database) -> None:
        self.server.drop(database.runtime_url.rpartition("/")[2])

    def _template(self, service: str, versions: Versions) -> str:
        known = self.templates.get((service, versions))
        if known is not None:
            return known
        name = f"template_{service}_{len(self.templates)}"
        database = self.server.provide(service, database=name)
        migrate(
            service,
            database.migration_url,
            role_of(database.runtime_url),
            versions=versions,
        )
        self.templates[service, versions] = name
        return name


NewStore = Callable[..., Database]
"""(service, *, versions=None) -> its own migrated database, dropped after the test."""
