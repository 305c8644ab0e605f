"""A start can be stopped at any moment, also while it waits for something that does not answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.ops.stack import WITH_A_STORE

HEARD_SECONDS_MAX = 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_ends_it_promptly(tmp_path: Path, number: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"postgresql://nobody@127.0.0.1:{deaf.getsockname()[1]}/nothing"
        given = {f"{name.upper()}_DATABASE_URL": url for name in WITH_A_STORE}
        given |= {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "RETURNS_HOME": str(tmp_path)}
        starter = subprocess.Popen(
            [sys.executable, "-m", "services.ops", "up"],
            env=os.environ | given,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = deaf.accept()  # it waits for the database now
        with connection:
            began = time.monotonic()
            starter.send_signal(number)
            _, said = starter.communicate(timeout=60)
            took = time.monotonic() - began
    assert took < HEARD_SECONDS_MAX
    assert starter.returncode == 0
    assert "Traceback" not in said
