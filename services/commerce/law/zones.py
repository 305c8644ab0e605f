"""Where a buyer's day ends: time zones of countries and regions.

Source of the country table: the IANA time zone database (zone.tab, in the package `tzdata`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

_US = {
    "America/New_York": "CT DC DE GA MA MD ME NC NH NJ NY OH PA RI SC VA VT WV",
    "America/Detroit": "MI",
    "America/Chicago": "AL AR IA IL LA MN MO MS OK WI",
    "America/Denver": "CO MT NM UT WY",
    "America/Phoenix": "AZ",
    "America/Los_Angeles": "CA NV WA",
    "America/Adak": "AK",
    "Pacific/Honolulu": "HI",
    "America/Indiana/Tell_City": "IN",
    "America/Kentucky/Louisville": "",
}
_SEVERAL = {
    "US-FL": ("America/New_York", "America/Chicago"),
    "US-ID": ("America/Boise", "America/Los_Angeles"),
    "US-IN": ("America/Indiana/Indianapolis", "America/Chicago"),
    "US-KS": ("America/Chicago", "America/Denver"),
    "US-KY": ("America/Kentucky/Louisville", "America/Chicago"),
    "US-MI": ("America/Detroit", "America/Menominee"),
    "US-ND": ("America/Chicago", "America/Denver"),
    "US-NE": ("America/Chicago", "America/Denver"),
    "US-OR": ("America/Los_Angeles", "America/Boise"),
    "US-SD": ("America/Chicago", "America/Denver"),
    "US-TN": ("America/New_York", "America/Chicago"),
    "US-TX": ("America/Chicago", "America/Denver"),
    "CA-ON": ("America/Toronto", "America/Winnipeg"),
    "CA-QC": ("America/Toronto", "America/Blanc-Sablon"),
    "CA-BC": ("America/Vancouver", "America/Edmonton"),
    "CA-AB": ("America/Edmonton",),
    "CA-SK": ("America/Regina",),
    "CA-MB": ("America/Winnipeg",),
    "CA-NS": ("America/Halifax",),
    "CA-NB": ("America/Moncton",),
    "CA-PE": ("America/Halifax",),
    "CA-NL": ("America/St_Johns", "America/Goose_Bay"),
    "AU-NSW": ("Australia/Sydney",),
    "AU-VIC": ("Australia/Melbourne",),
    "AU-QLD": ("Australia/Brisbane",),
    "AU-SA": ("Australia/Adelaide",),
    "AU-WA": ("Australia/Perth",),
    "AU-TAS": ("Australia/Hobart",),
    "AU-NT": ("Australia/Darwin",),
    "AU-ACT": ("Australia/Sydney",),
    "BR-SP": ("America/Sao_Paulo",),
    "BR-RJ": ("America/Sao_Paulo",),
}
REGION_ZONES: dict[str, tuple[str, ...]] = {
    f"US-{state}": (zone,) for zone, states in _US.items() for state in states.split()
} | _SEVERAL


@cache
def _country_zones() -> dict[str, tuple[str, ...]]:
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8")
    found: dict[str, list[str]] = {}
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            found.setdefault(country, []).append(zone)
    return {country: tuple(zones) for country, zones in found.items()}


@cache
def zones_of(country: str, region: str | None) -> tuple[ZoneInfo, ...]:
    """The time zones of a place; UTC where the country is not known."""
    names = REGION_ZONES.get(f"{country}-{region}") if region else None
    names = names or _country_zones().get(country) or ("UTC",)
    return tuple(ZoneInfo(name) for name in names)


@cache
def last_zone(country: str, region: str | None, day: date) -> ZoneInfo:
    """The zone of the place in which `day` ends last."""
    return max(zones_of(country, region), key=lambda zone: _midnight_after(day, zone))


def _midnight_after(day: date, zone: ZoneInfo) -> datetime:
    tomorrow = day + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=zone).astimezone(UTC)


@cache
def end_of_day(day: date, country: str, region: str | None) -> datetime:
    """The last second of a calendar day where the buyer is, as UTC."""
    return _midnight_after(day, last_zone(country, region, day)) - timedelta(seconds=1)


def local_date(instant: datetime, country: str, region: str | None) -> date:
    """The calendar day where the buyer is; with several zones the one where days end last."""
    return instant.astimezone(last_zone(country, region, instant.date())).date()
