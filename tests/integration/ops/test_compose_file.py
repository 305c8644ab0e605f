"""The compose files say what the code reads, and nothing that no registry has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.chassis import probe
from services.chassis.settings import Settings
from services.ops.provision import access, secrets
from services.ops.stack import SERVICES, WITH_A_STORE

ROOT = Path(__file__).parents[3]
OURS = "returns:${RETURNS_TAG:-local}"
OTHERS = {"kafka": "apache/kafka:4.1.1", "postgres": "postgres:17"}
MEMORY_MIB_MAX = 2_500_000_000 / 2**20
STEPS = {"POSTGRES_URL", "RENEW", "STRIPE_LIVE", "RETURNS_API_KEY"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


def known_variables() -> set[str]:
    names = {name.upper() for name in Settings.model_fields} | STEPS
    names |= {f"{service.upper()}_MIGRATION_DATABASE_URL" for service in WITH_A_STORE}
    names |= {f"{principal.upper()}_KAFKA_PASSWORD" for principal in access.PRINCIPALS}
    return names | {f"{name}_FILE" for name in names}


def test_every_variable_of_ours_is_one_that_the_code_reads(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if service["image"] == OURS:
            assert set(service["environment"]) <= known_variables(), name


def test_every_file_of_a_secret_is_one_that_is_made(services: dict[str, Any]) -> None:
    made = secrets.files({name: name for name in secrets.names()}, "postgres")
    for name, service in services.items():
        [folder] = [
            volume.split(":")[0].removeprefix("secrets-")
            for volume in service.get("volumes", ())
            if volume.endswith(":/run/secrets:ro")
        ] or [""]
        for variable, path in service.get("environment", {}).items():
            if variable.endswith("_FILE") and path:
                assert (folder, path.removeprefix("/run/secrets/")) in made, (name, variable)


def test_images_are_ours_or_the_official_ones(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if "observability" not in service.get("profiles", ()):
            assert service["image"] == OTHERS.get(name, OURS)


def test_services_listen_where_others_look_for_them(services: dict[str, Any]) -> None:
    for name in SERVICES:
        for other in SERVICES:
            url = services[other]["environment"].get(f"{name.upper()}_URL")
            assert url in (None, f"http://{name}:{probe.PORTS[name]}")


def test_all_lasting_services_are_bounded_and_come_back(services: dict[str, Any]) -> None:
    lasting = [services[name] for name in (*SERVICES, *OTHERS)]
    assert all(service["restart"] == "unless-stopped" for service in lasting)
    limits = [int(service["mem_limit"].removesuffix("m")) for service in lasting]
    assert sum(limits) <= MEMORY_MIB_MAX
    for service in lasting:
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_a_service_is_given_its_own_secrets_only(services: dict[str, Any]) -> None:
    for name in (*SERVICES, *OTHERS):
        folder = "broker" if name == "kafka" else name
        mounted = [volume for volume in services[name]["volumes"] if "secrets-" in volume]
        assert mounted == [f"secrets-{folder}:/run/secrets:ro"]


def test_the_observability_profile_is_given_the_files_that_are_tested(
    services: dict[str, Any],
) -> None:
    observing = [each for each in services.values() if "observability" in each.get("profiles", ())]
    mounted = [volume.split(":")[0] for each in observing for volume in each.get("volumes", ())]
    files = [ROOT / source for source in mounted if source.startswith("./")]
    assert files
    assert all(file.exists() for file in files)
    scraping = yaml.safe_load((ROOT / "deploy/observability/prometheus.yaml").read_text())
    [job] = scraping["scrape_configs"]
    [targets] = job["static_configs"]
    assert set(targets["targets"]) == {f"{name}:{probe.PORTS[name]}" for name in WITH_A_STORE}
    assert services["collector"]["environment"]["TRACES_ENDPOINT"] == "http://traces:4318"
