"""Public holidays by country and year, from the `holidays` package."""

from __future__ import annotations

import sys
from datetime import date
from functools import cache, lru_cache
from importlib.util import find_spec, module_from_spec
from types import ModuleType

CALENDARS_MAX = 1024
COUNTRIES = "holidays.countries"


@lru_cache(maxsize=CALENDARS_MAX)
def holidays_of(country: str, year: int) -> frozenset[date]:
    """The nationwide public holidays of a year; empty where no calendar is known."""
    try:
        return frozenset(_calendars().country_holidays(country, years=year))
    except NotImplementedError:
        return frozenset()


@cache
def _calendars() -> ModuleType:
    """The package, loaded on first use, as only some places and days need it, and without all
    its countries: the package of these would load 250 modules, 7 MB, for the one that is asked."""
    import holidays

    spec = find_spec(COUNTRIES)
    if spec is not None:
        sys.modules.setdefault(COUNTRIES, module_from_spec(spec))
    return holidays
