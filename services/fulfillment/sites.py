"""Where goods come back to, and what that costs: data, by country and by category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from contracts.orders import Address

DEFAULT = "default"
DEFAULT_ADDRESS = Address(
    name="Acme Returns",
    line1="1 Warehouse Way",
    city="Reno",
    region="NV",
    postal_code="89501",
    country="US",
)
"""The built-in policy's `return_addresses.default`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sites:
    addresses: Mapping[str, Address] = field(default_factory=dict)
    """Country code, or `default` -> where its customers send things."""
    handling_bps: Mapping[str, int] = field(default_factory=dict)
    """Category -> what handling it costs, of the line's net amount. Absent: nothing."""
    label_fees: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Country code, or `default` -> currency -> what a label costs us, in minor units."""
    no_label_countries: frozenset[str] = frozenset()
    """Countries from which no carrier of ours collects."""

    def address(self, country: str) -> Address:
        return self.addresses.get(country) or self.addresses.get(DEFAULT) or DEFAULT_ADDRESS

    def handling_fee_bps(self, category: str) -> int:
        return self.handling_bps.get(category, 0)

    def label_fee(self, country: str, currency: str) -> int:
        """Minor units; 0 where nothing is said, or no label is provided."""
        if not self.provides_label(country):
            return 0
        fees = self.label_fees.get(country) or self.label_fees.get(DEFAULT) or {}
        return fees.get(currency, 0)

    def provides_label(self, country: str) -> bool:
        return country not in self.no_label_countries
