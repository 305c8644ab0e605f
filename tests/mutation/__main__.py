"""Mutation testing of the money and the law: `python -m tests.mutation [EVERY]`.

Changes quote, law and policy in one small place at a time and sees whether the judge's unit tests
notice. It works on a copy, at the lowest priority. EVERY = 1 tries each change (an hour on two
cores), 5 every fifth. Fails where fewer than 85 % are noticed; the survivors are printed, and
judged in `survivors.md`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MUTATED = ("quote", "law", "policy")
TESTS = "tests/unit/commerce/judge"
KILLED_MIN = 0.85
SECONDS_MAX = 5400
SETTINGS = f"""[mutmut]
source_paths=
{chr(10).join(f"    services/commerce/{each}" for each in MUTATED)}
pytest_add_cli_args_test_selection=
    {TESTS}
also_copy=
    contracts
    services
    tests
    deploy
    pyproject.toml
max_children=2
"""


def copied(folder: Path) -> None:
    skipped = shutil.ignore_patterns("__pycache__", "results")
    for name in ("contracts", "services", "tests", "deploy"):
        shutil.copytree(ROOT / name, folder / name, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "setup.cfg").write_text(SETTINGS)


def mutmut(folder: Path, *arguments: str) -> str:
    """What a run of the tool printed. Raises TimeoutExpired."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    return done.stdout + done.stderr


def names(folder: Path, every: int) -> list[str]:
    """Every so manieth change, by the name that the tool gives it."""
    listed = mutmut(folder, "results", "--all", "true")
    found = re.findall(r"^\s*(\S+__mutmut_\d+): ", listed, re.MULTILINE)
    return sorted(found)[::every]


def main() -> int:
    every = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    os.nice(19)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copied(folder)
        # One change that does not exist: makes the changes and learns which test looks at what.
        mutmut(folder, "run", "services.commerce.quote.loyalty.x__running__mutmut_1")
        chosen = names(folder, every)
        mutmut(folder, "run", *chosen)
        listed = mutmut(folder, "results", "--all", "true")
    outcomes = dict(re.findall(r"^\s*(\S+__mutmut_\d+): (.+)$", listed, re.MULTILINE))
    tried = {each: outcomes.get(each, "not checked") for each in chosen}
    alive = sorted(each for each, how in tried.items() if how in ("survived", "no tests"))
    checked = [each for each, how in tried.items() if how != "not checked"]
    killed = 1 - len(alive) / max(len(checked), 1)
    print("\n".join(f"{each}: {tried[each]}" for each in alive))
    print(f"{len(checked)} of {len(chosen)} changes tried, {killed:.1%} noticed")
    return 0 if checked and killed >= KILLED_MIN else 1


if __name__ == "__main__":
    sys.exit(main())
