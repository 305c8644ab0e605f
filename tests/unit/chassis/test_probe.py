"""The image's health check: finds its service, asks it, and says what fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from services.chassis import probe
from services.chassis.settings import Settings


class Answers(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/readyz" else 404)
        self.end_headers()
        self.wfile.write(b'{"failing": {"store": "does not answer"}}')

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class AnswersBadly(Answers):
    status = 503


@pytest.fixture(params=[Answers, AnswersBadly])
def server(request: pytest.FixtureRequest) -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), request.param) as listening:
        thread = threading.Thread(target=listening.handle_request, daemon=True)
        thread.start()
        yield listening
        thread.join(timeout=5)


def test_ready_is_ready_and_anything_else_says_why(server: HTTPServer) -> None:
    said = probe.failing(server.server_port)
    if server.RequestHandlerClass is Answers:
        assert said is None
    else:
        assert said is not None
        assert "store" in said


def test_a_port_where_nobody_listens_is_not_ready() -> None:
    with HTTPServer(("127.0.0.1", 0), Answers) as taken:
        port = taken.server_port
    assert probe.failing(port) is not None


@pytest.mark.parametrize(
    ("command", "service"),
    [
        ("python -m services.commerce ", "commerce"),
        ("/app/.venv/bin/python -m services.sandbox ", "sandbox"),
        ("python -m services.ops demo", None),
        ("sh", None),
    ],
)
def test_the_service_is_the_one_that_the_first_process_runs(
    command: str, service: str | None
) -> None:
    assert probe.service_of(command) == service


def test_the_ports_are_those_of_the_settings() -> None:
    fields = Settings.model_fields
    assert {name: fields[f"{name}_port"].default for name in probe.PORTS} == probe.PORTS
