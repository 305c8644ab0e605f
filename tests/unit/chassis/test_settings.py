"""Settings: from variables and files, and what is wrong with them in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.chassis import environment
from services.chassis.settings import Settings

LOGIN = {
    "KAFKA_BOOTSTRAP_SERVERS": "broker:9092",
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_USERNAME": "commerce",
    "KAFKA_SASL_PASSWORD": "secret",
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)


def test_a_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from the file\n")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(file))
    assert Settings().kafka_sasl_password == "from the file"
    assert environment.read("KAFKA_SASL_PASSWORD") == "from the file"
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "from the variable")
    assert Settings().kafka_sasl_password == "from the variable"
    assert environment.read("KAFKA_SASL_PASSWORD") == "from the variable"


def test_an_empty_file_sets_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("\n")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET_FILE", str(file))
    default = Settings.model_fields["stripe_webhook_secret"].default
    assert Settings().stripe_webhook_secret == default


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRIPE_API_KEY_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit, match=r"^STRIPE_API_KEY_FILE: .*nowhere cannot be read"):
        Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", ""),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker"),
        ("KAFKA_BOOTSTRAP_SERVERS", "broker:9092,other"),
        ("KAFKA_BOOTSTRAP_SERVERS", "http://broker:9092"),
        ("KAFKA_SECURITY_PROTOCOL", "SASL"),
        ("KAFKA_SASL_MECHANISM", "SCRAM"),
        ("KAFKA_SASL_USERNAME", ""),
        ("KAFKA_SASL_PASSWORD", ""),
        ("COMMERCE_DATABASE_URL", ""),
        ("COMMERCE_DATABASE_URL", "mysql://commerce@store/commerce"),
        ("COMMERCE_PORT", "many"),
        ("RETURNS_TIME_SCALE", "0"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    right = LOGIN | {"COMMERCE_DATABASE_URL": "postgresql://commerce@store/commerce"}
    for name, each in (right | {variable: value}).items():
        monkeypatch.setenv(name, each)
    with pytest.raises(SystemExit) as told:
        settings = Settings()
        settings.database_url("commerce")
        settings.bootstrap_servers()
    sentence = str(told.value.code)
    assert sentence.startswith(variable)
    assert "\n" not in sentence


def test_several_brokers_and_numbered_addresses_are_fine() -> None:
    servers = "one:9092, two:9092,10.0.0.3:19092,[::1]:9092"
    found = Settings(kafka_bootstrap_servers=servers).bootstrap_servers()
    assert found == servers.replace(" ", "")
