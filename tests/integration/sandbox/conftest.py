"""One sandbox and one listener for all tests of this folder."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.integration.sandbox.outside import Inbox, Sandbox


@pytest.fixture(scope="package")
def inbox() -> Iterator[Inbox]:
    made = Inbox()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def sandbox(tmp_path_factory: pytest.TempPathFactory, inbox: Inbox) -> Iterator[Sandbox]:
    with closing(socket.socket()) as one, closing(socket.socket()) as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    made = Sandbox(tmp_path_factory.mktemp("sandbox"), inbox, *ports)
    yield made
    made.process.terminate()
    made.process.wait(20)
