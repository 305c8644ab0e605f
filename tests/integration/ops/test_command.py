"""What people can mend is told in one sentence, without a traceback."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from typer.testing import CliRunner, Result

from services.chassis.settings import Settings
from services.ops import home, running
from services.ops.__main__ import COMMANDS, app
from services.ops.demo.command import money
from services.ops.demo.scenarios import BY_NAME
from services.ops.embedded import kafka_jars, postgres, processes
from services.ops.embedded.processes import StartFailed

runner = CliRunner()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETURNS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GATEWAY_URL", raising=False)


def call(*arguments: str) -> Result:
    return runner.invoke(app, arguments)


def sentences(result: Result) -> str:
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join(result.output.split())


def test_the_help_names_every_command() -> None:
    shown = call("--help")
    assert shown.exit_code == 0
    assert all(name in shown.output for name in COMMANDS)


@pytest.mark.parametrize("arguments", [("nonsense",), ("demo", "nonsense"), ("up", "--nonsense")])
def test_wrong_use_ends_with_2(arguments: tuple[str, ...]) -> None:
    assert call(*arguments).exit_code == 2


def test_the_scenarios_are_listed_for_people_and_programs() -> None:
    listed = call("demo", "--list", "--json")
    assert [json.loads(line)["name"] for line in listed.output.splitlines()] == list(BY_NAME)
    assert all(name in call("demo", "--list").output for name in BY_NAME)


@pytest.mark.parametrize("arguments", [("show", "x"), ("watch",), ("quarantine", "list")])
def test_without_a_running_system_it_says_how_to_start_one(arguments: tuple[str, ...]) -> None:
    result = call(*arguments)
    assert result.exit_code == 1
    assert "returns up" in sentences(result)


def test_a_gateway_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    port = processes.free_port()
    monkeypatch.setenv("GATEWAY_URL", f"http://127.0.0.1:{port}")
    result = call("show", "x")
    assert result.exit_code == 1
    assert f"127.0.0.1:{port} does not answer" in sentences(result)


@pytest.mark.parametrize(
    ("variable", "value", "arguments"),
    [
        ("GATEWAY_URL", "foo", ("show", "x")),
        ("COMMERCE_DATABASE_URL", "foo", ("quarantine", "list")),
        ("COMMERCE_DATABASE_URL", "foo", ("doctor",)),
    ],
)
def test_an_address_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv(variable, value)
    result = call(*arguments)
    assert result.exit_code == 1
    assert variable in sentences(result)


@pytest.mark.parametrize(
    "arguments",
    [("show", f"commerce:{2**64}"), ("show", "1"), ("redrive", "commerce:1", "--value", "none")],
)
def test_no_record_and_no_file_is_wrong_use(arguments: tuple[str, ...]) -> None:
    result = call("quarantine", *arguments)
    assert result.exit_code == 2
    sentences(result)


class _Gateway(BaseHTTPRequestHandler):
    """Says of every return the same; notes what it was asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        seen = {
            "return_id": "r",
            "order_id": "[/bold]",
            "status": "settled",
            "waiting_on": "none",
            "explanation": ":bomb: [red]",
            "refunds": [],
            "timeline": [{"at": "2026-03-02", "status": "settled", "explanation": "[/x]"}],
        }
        body = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not into the test's output."""


def test_what_strangers_wrote_is_shown_as_they_wrote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Gateway) as gateway:
        threading.Thread(target=gateway.serve_forever, daemon=True).start()
        monkeypatch.setenv("GATEWAY_URL", f"http://127.0.0.1:{gateway.server_port}")
        shown = sentences(call("show", "a/b?c"))
        gateway.shutdown()
    assert _Gateway.asked == ["/returns/a%2Fb%3Fc"]
    assert all(text in shown for text in ("[/bold]", ":bomb: [red]", "[/x]"))


def test_submit_refuses_what_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text("{")
    result = call("submit", str(tmp_path / "request.json"))
    assert result.exit_code == 2
    assert "not readable JSON" in sentences(result)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GATEWAY_PORT", "eighty"),
        ("GATEWAY_PORT", "99999"),
        ("EMBEDDED_BROKER", "rabbit"),
        ("RETURNS_HOME", "/dev/null/returns"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    for command in ("up", "doctor"):
        result = call(command)
        assert result.exit_code == 1
        assert variable in sentences(result)


@pytest.mark.parametrize("variable", ["POLICY_PATH", "RETURNS_API_KEYS_FILE"])
def test_a_file_that_a_variable_names_is_read_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    for command in ("up", "doctor"):
        result = call(command)
        assert result.exit_code == 1
        assert f"{variable}: {tmp_path / 'nothing'}" in sentences(result)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "")
    assert Settings().gateway_port == 8080


def test_databases_that_are_not_named_are_those_of_the_running_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COMMERCE_DATABASE_URL", "postgresql://named/commerce")
    with home.claimed(home.folder()):
        home.publish(home.folder(), {"databases": {"commerce": "x", "payment": "y"}})
        assert running.databases() == {"commerce": "postgresql://named/commerce", "payment": "y"}


def test_up_says_which_named_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    port = processes.free_port()  # claimed by this process, as by another system
    monkeypatch.setenv("PAYMENT_PORT", str(port))
    result = call("up")
    assert result.exit_code == 1
    assert f"port {port} is in use" in sentences(result)
    assert "PAYMENT_PORT" in sentences(result)


def test_doctor_says_of_a_named_port_that_is_taken_what_up_would_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setenv("PAYMENT_PORT", str(port))
        result = call("doctor", "--json")
        finding = next(
            each
            for each in map(json.loads, result.stdout.splitlines())
            if each["what"] == "payment's port"
        )
        assert result.exit_code == 1
        assert finding["ok"] is False
        assert "PAYMENT_PORT" in finding["advice"]
        with home.claimed(home.folder()):  # here our own system is what listens
            home.publish(home.folder(), {"gateway": "x"})
            assert "✗ payment's port" not in sentences(call("doctor"))


def test_up_says_that_a_given_broker_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ops.stack.BROKER_SECONDS_MAX", 0.2)
    monkeypatch.setattr("services.ops.stack._provide_databases", lambda *_: None)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    result = call("up")
    assert result.exit_code == 1
    assert "127.0.0.1:9 does not answer: start it, or correct" in sentences(result)


def test_up_says_that_a_given_database_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    monkeypatch.setenv("COMMERCE_DATABASE_URL", "postgresql://commerce@127.0.0.1:9/commerce")
    result = call("up")
    assert result.exit_code == 1
    assert "commerce's database does not answer" in sentences(result)
    assert "COMMERCE_DATABASE_URL" in sentences(result)


def test_two_systems_do_not_share_a_folder(tmp_path: Path) -> None:
    with home.claimed(tmp_path / "home"):
        result = call("up")
    assert result.exit_code == 1
    assert "set RETURNS_HOME to another folder" in sentences(result)


def test_addresses_are_gone_with_their_system(tmp_path: Path) -> None:
    with home.claimed(tmp_path):
        home.publish(tmp_path, {"gateway": "http://127.0.0.1:1"})
        assert home.published(tmp_path) == {"gateway": "http://127.0.0.1:1"}
    assert home.published(tmp_path) is None


def test_addresses_of_a_killed_system_are_not_believed(tmp_path: Path) -> None:
    home.publish(tmp_path, {"gateway": "http://127.0.0.1:1"})
    assert home.published(tmp_path) is None


@pytest.mark.parametrize(
    ("version", "advice"), [(None, "install a JVM"), (11, "Java 11 is too old")]
)
def test_a_missing_or_old_java_is_told_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, version: int | None, advice: str
) -> None:
    monkeypatch.setattr(kafka_jars, "java_version", lambda: version)
    kafka_jars.missing.cache_clear()
    assert advice in str(kafka_jars.missing())
    assert "until then the broker inside librdkafka is used" in kafka_jars.fetch()
    kafka_jars.missing.cache_clear()


def test_a_missing_maven_is_told_while_kafka_is_not_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kafka_jars, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(kafka_jars, "java_version", lambda: 17)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    kafka_jars.missing.cache_clear()
    assert "apt install maven" in str(kafka_jars.missing())
    kafka_jars.missing.cache_clear()


def test_a_machine_without_postgresql_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres.util, "find_spec", lambda name: None)
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    with pytest.raises(StartFailed, match="apt install postgresql"):
        postgres.binaries()


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (22200, "USD", "222.00 USD"),
        (-5, "USD", "-0.05 USD"),
        (334, "JPY", "334 JPY"),
        (3334, "KWD", "3.334 KWD"),
        (123456789, "EUR", "1,234,567.89 EUR"),
    ],
)
def test_money_is_shown_with_its_currencys_decimals(amount: int, currency: str, text: str) -> None:
    assert money(amount, currency) == text
