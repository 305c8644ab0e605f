"""Puts the fulfillment service together."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx

from services.chassis.clock import Clock, WallClock
from services.chassis.service import Service
from services.chassis.settings import Settings
from services.fulfillment import outside
from services.fulfillment.carriers import easypost
from services.fulfillment.carriers.port import Carrier
from services.fulfillment.carriers.sandbox import SandboxCarrier
from services.fulfillment.configuration import OutsideSettings, read_sites
from services.fulfillment.executors import Labels, all_executors
from services.fulfillment.handlers import all_handlers
from services.fulfillment.store import FulfillmentWork
from services.fulfillment.warehouse import Warehouse

NAME = "fulfillment"


def build(settings: Settings, pool: Any, clock: Clock | None = None) -> Service[FulfillmentWork]:
    """The service; its outside world is at SANDBOX_URL."""
    world = OutsideSettings()
    http = outside.client(settings.sandbox_url)
    inventory = outside.client(world.inventory_url) if world.inventory_url else http
    sandbox = SandboxCarrier(http)
    carrier = _carrier(world, sandbox)
    labels = Labels(carrier, sandbox, clock or WallClock())
    return Service(
        name=NAME,
        work=lambda now: FulfillmentWork(now=now),
        handlers=all_handlers(read_sites(settings.policy_path, world.sites_path)),
        executors=all_executors(labels, Warehouse(inventory, http)),
        close=partial(_close, http, inventory, carrier),
    )


async def _close(http: httpx.AsyncClient, inventory: httpx.AsyncClient, carrier: Carrier) -> None:
    """Closing one twice is closing it once."""
    await carrier.close()
    await inventory.aclose()
    await http.aclose()


def _carrier(settings: OutsideSettings, sandbox: Carrier) -> Carrier:
    if settings.carrier == "sandbox":
        return sandbox
    if not settings.easypost_api_key:
        raise SystemExit("CARRIER=easypost needs EASYPOST_API_KEY")
    return easypost.EasyPost(easypost.client(settings.easypost_api_key, settings.easypost_api_base))
