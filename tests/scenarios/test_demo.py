"""`returns demo` as a person runs it, in an environment that has keys of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

DEMO_SECONDS_MAX = 120


def test_the_demo_needs_no_key_where_the_environment_names_keys(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text("{}")
    environment = {
        "RETURNS_API_KEYS_FILE": str(keys),
        "RETURNS_HOME": str(tmp_path / "home"),
        "EMBEDDED_BROKER": "librdkafka",
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.ops", "demo", "cancelled", "--json"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"verified": True, "failing": []}
