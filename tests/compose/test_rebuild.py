"""What a change of code costs: the image's last layer, and no more."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compose.deployment import ROOT, docker, engine_answers

FILE = "deploy/Dockerfile"
CHANGED = "services/commerce/status.py"
NAME = "returns:rebuild-test"
BUILD_SECONDS_MAX = 500
STEP = re.compile(r"^#(\d+) (?:\[[^\]]+\] (.*)|(CACHED)|DONE .*)$", re.MULTILINE)

pytestmark = pytest.mark.timeout(2 * BUILD_SECONDS_MAX)


@pytest.fixture
def sources(tmp_path: Path) -> Iterator[Path]:
    """A copy of what goes into the image, to change."""
    if not engine_answers():
        pytest.skip("no container engine with Compose answers here")
    for folder in ("contracts", "services", "deploy"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    yield tmp_path
    subprocess.run(["docker", "image", "rm", NAME], capture_output=True, check=False)


def build(sources: Path) -> set[str]:
    """The instructions that were carried out, not taken from the cache."""
    done = subprocess.run(
        ["docker", "build", "--progress", "plain", "--file", FILE, "--tag", NAME, "."],
        cwd=sources,
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS_MAX,
    )
    assert done.returncode == 0, done.stderr
    steps: dict[str, str] = {}
    for number, instruction, cached in STEP.findall(done.stderr):
        if instruction.startswith(("COPY", "RUN")):
            steps[number] = instruction
        elif cached:
            steps.pop(number, None)
    return set(steps.values())


def layers() -> list[str]:
    found: list[str] = json.loads(docker("inspect", "-f", "{{json .RootFS.Layers}}", NAME))
    return found


def test_a_change_of_code_makes_one_layer_anew(sources: Path) -> None:
    build(sources)
    before = layers()
    assert build(sources) == set(), "the same sources are built anew"
    with (sources / CHANGED).open("a") as file:
        file.write("\nCHANGED = True\n")
    begun = time.monotonic()
    carried_out = build(sources)
    print(f"built anew after a change of code in {time.monotonic() - begun:.1f} s: {carried_out}")
    assert carried_out
    assert not [step for step in carried_out if "pip" in step or "venv" in step]
    after = layers()
    assert after[:-1] == before[:-1]
    assert after[-1] != before[-1]
