"""A start can be stopped at any moment, also while it waits for something that does not answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.ops.stack import WITH_A_STORE

IMPATIENT_NEVER = """
from services.ops import stack
from services.ops.__main__ import main
stack.DATABASE_SECONDS_MAX = 3600
main()
"""
"""`returns`, which gives up waiting for a database only when it is told to."""
ENDS_SECONDS_MAX = 120


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_ends_it(tmp_path: Path, number: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"postgresql://nobody@127.0.0.1:{deaf.getsockname()[1]}/nothing"
        given = {f"{name.upper()}_DATABASE_URL": url for name in WITH_A_STORE}
        given |= {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "RETURNS_HOME": str(tmp_path)}
        starter = subprocess.Popen(
            [sys.executable, "-c", IMPATIENT_NEVER, "up"],
            env=os.environ | given,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = deaf.accept()  # it waits for the database now
        with connection:
            starter.send_signal(number)
            _, said = starter.communicate(timeout=ENDS_SECONDS_MAX)
    assert starter.returncode == 0
    assert "Traceback" not in said
