"""A service loads nothing that it never uses."""

import json
import subprocess
import sys

import pytest

LOADED = """
import json, sys
import services.{service}.__main__
from services.commerce import app
from services.commerce.law.periods import holidays_of
app.load_calendars()
dates = {{f"{{c}}-{{y}}": sorted(str(d) for d in holidays_of(c, y))
    for c in {countries} for y in (2025, 2026)}}
print(json.dumps({{"modules": sorted(sys.modules), "dates": dates}}))
"""
PLAIN = """
import json, holidays
print(json.dumps({{f"{{c}}-{{y}}": sorted(str(d) for d in holidays.country_holidays(c, years=y))
    for c in {countries} for y in (2025, 2026)}}))
"""
COUNTRIES = ["US", "GB", "DE", "FR", "PL", "IT", "GU", "CH", "JP", "IN", "SA", "IL", "BR", "AX"]


def printed(program: str, **values: object) -> object:
    done = subprocess.run(
        [sys.executable, "-c", program.format(countries=COUNTRIES, **values)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def commerce() -> dict[str, object]:
    found = printed(LOADED, service="commerce")
    assert isinstance(found, dict)
    return found


def test_a_service_loads_no_console_and_no_country_that_is_not_asked(
    commerce: dict[str, object],
) -> None:
    modules = commerce["modules"]
    assert isinstance(modules, list)
    assert not {"rich", "pygments", "typer"} & set(modules)
    assert "holidays.countries.germany" in modules
    assert "holidays.countries.thailand" not in modules


def test_the_calendars_are_those_of_the_whole_package(commerce: dict[str, object]) -> None:
    assert commerce["dates"] == printed(PLAIN)
