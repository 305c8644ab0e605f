"""`python -m tests.simulation [--seeds N] [--seed X] [--returns 0,2] [--faults kill,call]`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter

from tests.simulation import session
from tests.simulation.faults import RATES
from tests.simulation.run import Result
from tests.simulation.session import Wanted

TRACE_LINES = 80


def main() -> int:
    wanted = _arguments()
    # Sets of text are iterated in an order that depends on this; a seed must not.
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    allowed = tuple(wanted.faults.split(",")) if wanted.faults is not None else tuple(RATES)
    only = tuple(int(each) for each in wanted.returns.split(",")) if wanted.returns else None
    first, count = (wanted.seed, 1) if wanted.seed is not None else (wanted.first, wanted.seeds)
    seeds = [Wanted(seed=first + number, only=only, allowed=allowed) for number in range(count)]
    began, fired, failed = time.monotonic(), Counter[str](), 0
    for result in session.run(seeds, processes=wanted.processes):
        fired.update(result.fired)
        if result.violation is not None or wanted.seed is not None:
            _tell(result)
        if result.violation is not None:
            failed += 1
            if failed >= wanted.failures:
                break
    seconds = time.monotonic() - began
    print(f"{count} seeds, {failed} failed, {seconds:.0f} s")
    return min(failed, 1)


def _tell(result: Result) -> None:
    print("\n".join(result.trace.lines[-TRACE_LINES:]))
    print(f"seed {result.seed}: {result.steps} steps, trace {result.trace.hash}")
    if result.violation is not None:
        print(f"seed {result.seed} FAILED: {result.violation}")
        print(f"replay it with: make simulate SEED={result.seed}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="one seed, with its trace")
    parser.add_argument("--returns", help="only these of its returns: 0,2")
    parser.add_argument("--faults", help="only these faults: kill,call; empty: none")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
