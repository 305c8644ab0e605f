"""Puts the fulfillment service together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from contracts.orders import Address
from services.chassis.clock import Clock, WallClock
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.fulfillment import outside
from services.fulfillment.carriers import easypost
from services.fulfillment.carriers.port import Carrier
from services.fulfillment.carriers.sandbox import SandboxCarrier
from services.fulfillment.configuration import OutsideSettings
from services.fulfillment.executors import Labels, all_executors
from services.fulfillment.handlers import all_handlers
from services.fulfillment.sites import Sites
from services.fulfillment.store import FulfillmentWork
from services.fulfillment.warehouse import Warehouse

NAME = "fulfillment"


def build(settings: Settings, pool: Any, clock: Clock | None = None) -> Service[FulfillmentWork]:
    """The service; its outside world is at SANDBOX_URL."""
    world = OutsideSettings()
    http = outside.client(settings.sandbox_url)
    inventory = outside.client(world.inventory_url) if world.inventory_url else http
    sandbox = SandboxCarrier(http)
    labels = Labels(_carrier(world, sandbox), sandbox, clock or WallClock())
    return Service(
        name=NAME,
        work=lambda now: FulfillmentWork(now=now),
        handlers=all_handlers(read_sites(settings.policy_path)),
        executors=all_executors(labels, Warehouse(inventory, http)),
    )


def _carrier(settings: OutsideSettings, sandbox: Carrier) -> Carrier:
    if settings.carrier == "sandbox":
        return sandbox
    if not settings.easypost_api_key:
        raise SystemExit("CARRIER=easypost needs EASYPOST_API_KEY")
    return easypost.EasyPost(easypost.client(settings.easypost_api_key, settings.easypost_api_base))


def read_sites(policy_path: str) -> Sites:
    """Return addresses from the policy in force last: the same file that commerce decides by.

    Commerce refuses a broken file loudly; here it means the built-in address.
    """
    if not policy_path:
        return Sites()
    path = Path(policy_path)
    files = sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
    found: list[tuple[str, dict[str, Any]]] = []
    for file in files:
        try:
            document = yaml.safe_load(file.read_text())
            found.append((str(document.get("effective_from", "")), document))
        except (OSError, yaml.YAMLError, AttributeError):
            continue
    newest = max(found, key=lambda pair: pair[0], default=("", {}))[1]
    addresses = newest.get("return_addresses", {})
    try:
        return Sites(
            addresses={name: Address.model_validate(value) for name, value in addresses.items()}
        )
    except (ValueError, AttributeError):
        return Sites()
