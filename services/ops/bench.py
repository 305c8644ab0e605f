"""`returns bench`: the benchmarks of a checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from services.ops import console

BENCHMARKS = Path("tests") / "benchmarks"


@console.in_one_sentence
def bench(context: typer.Context) -> None:
    """Measure completed returns per second beside the bare pipeline; needs a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / BENCHMARKS).is_dir():
        raise console.Refused(f"the benchmarks are not installed: call this in a checkout ({root})")
    command = [sys.executable, "-m", "tests.benchmarks", *context.args]
    raise typer.Exit(subprocess.run(command, cwd=root, check=False).returncode)
