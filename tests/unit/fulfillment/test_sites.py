"""Return addresses come from the file that commerce decides by."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.fulfillment.configuration import read_sites
from services.fulfillment.sites import DEFAULT_ADDRESS

POLICY = """
policy: acme
version: "{version}"
effective_from: {at}
return_addresses:
  default: {{name: Acme, line1: 1 Road, city: Reno, postal_code: "89501", country: US}}
  DE: {{name: Acme GmbH, line1: Weg 1, city: Berlin, postal_code: "10115", country: {country}}}
"""


def policy(version: int, country: str = "DE") -> str:
    return POLICY.format(version=version, at=f"2026-0{version}-01T00:00:00Z", country=country)


def test_a_file_names_addresses_by_country(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(policy(1))
    sites = read_sites(str(file))
    assert sites.address("DE").name == "Acme GmbH"
    assert sites.address("FR").name == "Acme"


def test_of_a_folder_the_newest_version_counts(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(policy(1, "AT"))
    (tmp_path / "a.yaml").write_text(policy(2, "DE"))
    assert read_sites(str(tmp_path)).address("DE").country == "DE"


def test_no_file_or_a_broken_one_means_the_built_in_address(tmp_path: Path) -> None:
    broken = tmp_path / "policy.yaml"
    broken.write_text("return_addresses: {DE: {name: 1}}")
    for path in ("", str(tmp_path / "none.yaml"), str(broken)):
        assert read_sites(path).address("DE") == DEFAULT_ADDRESS
    broken.write_text("- a list\n- {")
    assert read_sites(str(broken)).address("DE") == DEFAULT_ADDRESS


def test_the_merchants_own_file_says_what_handling_costs_and_who_gets_no_label(
    tmp_path: Path,
) -> None:
    (tmp_path / "policy.yaml").write_text(policy(1))
    own = tmp_path / "sites.yaml"
    own.write_text("handling_fee_bps: {furniture: 1000}\nno_label_countries: [JP]\n")
    sites = read_sites(str(tmp_path / "policy.yaml"), str(own))
    assert sites.handling_fee_bps("furniture") == 1000
    assert sites.handling_fee_bps("apparel") == 0
    assert not sites.provides_label("JP")
    assert sites.address("DE").name == "Acme GmbH"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("handling_fee_bps: {furniture: 20000}", "handling_fee_bps.furniture"),
        ("colour: red", "colour"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_broken_sites_file_stops_the_start_with_one_sentence(
    tmp_path: Path, text: str, message: str
) -> None:
    own = tmp_path / "sites.yaml"
    own.write_text(text)
    with pytest.raises(SystemExit, match=message):
        read_sites("", str(own))
