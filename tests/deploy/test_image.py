"""What the image's build does to the libraries in it leaves them as they were for their loader."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.strip import strip

LOAD = (
    "import importlib.util as u, sys;u.module_from_spec(u.spec_from_file_location(*sys.argv[1:]))"
)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the image is of Linux")
@pytest.mark.parametrize("module", ["yaml._yaml", "uvloop.loop", "asyncpg.pgproto.pgproto"])
def test_a_stripped_library_is_smaller_and_loads(module: str, tmp_path: Path) -> None:
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    before = Path(found.origin).read_bytes()
    after = strip(before)
    assert len(after) < len(before)
    (tmp_path / "stripped.so").write_bytes(after)
    command = [sys.executable, "-c", LOAD, module, str(tmp_path / "stripped.so")]
    assert subprocess.run(command, check=False).returncode == 0


def test_what_is_no_library_stays_as_it_is() -> None:
    assert strip(b"#!/bin/sh\n") == b"#!/bin/sh\n"
