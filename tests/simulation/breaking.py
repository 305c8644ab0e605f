"""`python -m tests.simulation.breaking [I7 …]`: breaks the code on purpose; a seed must find it.

Each patch in `breaks/` names the invariant that it breaks. It is applied to a copy; then seeds
are played on the copy until one breaks that invariant.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.simulation import session

ROOT = Path(__file__).parents[2]
PATCHES = Path(__file__).parent / "breaks"
COPIED = ("contracts", "services", "tests", "deploy", "pyproject.toml")
SEEDS_MAX = 60
SECONDS_MAX = 900
FOUND = re.compile(r"seed (\d+) FAILED: (\w+): (.*)")
STEPS = re.compile(r"seed (\d+): (\d+) steps")


@dataclass(frozen=True, kw_only=True)
class Break:
    """A patch with its head: the invariant it breaks, the faults and the kind of return that bring
    it to light, and what it does."""

    path: Path
    invariant: str
    faults: str
    kind: str
    what: str


def all_breaks() -> list[Break]:
    """By number of their invariant."""
    found = []
    for path in PATCHES.glob("*.patch"):
        head = path.read_text().split("\n")[:4]
        invariant, faults, kind = (line.partition(": ")[2] for line in head[:3])
        found.append(Break(path=path, invariant=invariant, faults=faults, kind=kind, what=head[3]))
    return sorted(found, key=lambda each: int(each.invariant[1:]))


def copy(folder: Path) -> None:
    """The project's code, in a folder where it may be broken."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "results")
            )
        else:
            shutil.copy(ROOT / name, folder / name)


def apply(broken: Break, folder: Path, *, check: bool = False) -> None:
    """Break the copy; `check`: only see whether the patch fits. Raises CalledProcessError."""
    command = ["git", "apply", "--unidiff-zero", "--whitespace=nowarn"]
    command += ["--check"] if check else []
    subprocess.run([*command, str(broken.path)], cwd=folder, check=True, capture_output=True)


def find(broken: Break, port: int) -> tuple[str, str, str] | None:
    """(seed, steps, what was seen) of the first seed that finds it; None: nobody does."""
    with tempfile.TemporaryDirectory(prefix="broken-") as folder:
        copy(Path(folder))
        apply(broken, Path(folder))
        command = [sys.executable, "-m", "tests.simulation", "--find", broken.invariant]
        command += ["--seeds", str(SEEDS_MAX), "--faults", broken.faults, "--kind", broken.kind]
        command += ["--processes", "1"]
        if "/migrations/" not in broken.path.read_text():
            command += ["--port", str(port)]
        played = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder},
            capture_output=True,
            text=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    steps = dict(STEPS.findall(played.stdout))
    for seed, invariant, what in FOUND.findall(played.stdout):
        if invariant == broken.invariant:
            return seed, steps[seed], what
    print(played.stdout[-1500:], played.stderr[-1500:])
    return None


def main() -> int:
    wanted = [each for each in all_breaks() if each.invariant in sys.argv[1:] or not sys.argv[1:]]
    missed = 0
    with session.prepared() as (made, _):
        for broken in wanted:
            found = find(broken, made.server.port)
            if found is None:
                missed += 1
                told = f"NOT FOUND in {SEEDS_MAX} seeds: {broken.what}"
            else:
                seed, steps, what = found
                told = f"found by seed {seed} in {steps} steps: {what}"
            print(f"{broken.invariant:4} {told}", flush=True)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
