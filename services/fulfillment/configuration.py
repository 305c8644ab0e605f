"""The merchant's own side: which carrier, which inventory, which sites.

Test returns use the sandbox whatever is said here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.base import Bps, CountryCode, Currency, MinorUnits
from contracts.orders import Address
from services.chassis.environment import Environment
from services.fulfillment.sites import Sites


class OutsideSettings(Environment):
    """`CARRIER`, `EASYPOST_API_KEY`, `EASYPOST_API_BASE`, `INVENTORY_URL` (or the sandbox),
    `SITES_PATH` (a file; see SitesFile)."""

    carrier: Literal["sandbox", "easypost"] = "sandbox"
    easypost_api_key: str = ""
    easypost_api_base: str = "https://api.easypost.com"
    inventory_url: str = ""
    sites_path: str = ""


class SitesFile(BaseModel):
    """What a YAML file may say; addresses that it leaves out are the policy's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    return_addresses: dict[str, Address] = Field(default_factory=dict)
    """Country code, or `default`."""
    handling_fee_bps: dict[str, Bps] = Field(default_factory=dict)
    """Category -> what handling it costs, of the line's net amount."""
    label_fee: dict[str, dict[Currency, MinorUnits]] = Field(default_factory=dict)
    """Country code, or `default` -> currency -> what a label costs us, in minor units."""
    no_label_countries: frozenset[CountryCode] = frozenset()


def read_sites(policy_path: str, sites_path: str = "") -> Sites:
    """Where goods come back to. Raises SystemExit with one sentence for a broken sites file."""
    own = _sites_file(sites_path) if sites_path else SitesFile()
    return Sites(
        addresses={**_policy_addresses(policy_path), **own.return_addresses},
        handling_bps=own.handling_fee_bps,
        label_fees=own.label_fee,
        no_label_countries=own.no_label_countries,
    )


def _sites_file(path: str) -> SitesFile:
    try:
        return SitesFile.model_validate(yaml.safe_load(Path(path).read_text()) or {})
    except (OSError, yaml.YAMLError) as error:
        raise SystemExit(f"SITES_PATH: {path} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise SystemExit(f"SITES_PATH: {path}: {where}: {first['msg']}") from None


def _policy_addresses(policy_path: str) -> dict[str, Address]:
    """Of the version in force last: the same file that commerce decides by.

    Commerce refuses a broken policy loudly; here it means the built-in address.
    """
    if not policy_path:
        return {}
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
    try:
        addresses = newest.get("return_addresses", {})
        return {name: Address.model_validate(value) for name, value in addresses.items()}
    except (ValueError, AttributeError):
        return {}
