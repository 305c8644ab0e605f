"""`python -m tests.simulation [--seeds N] [--seed X] [--returns 0,2] [--faults kill,call]`."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections import Counter

from tests.simulation import session, sometimes
from tests.simulation.faults import RATES
from tests.simulation.kinds import KINDS
from tests.simulation.session import Told
from tests.simulation.wanted import Wanted

TRACE_LINES = 80
TOLD_EVERY = 100


def main() -> int:
    given = _arguments()
    # Sets of text are iterated in an order that depends on this; a seed must not.
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    began, seen, failed, played = time.monotonic(), Counter[str](), 0, 0
    look = session.told if given.find is None else session.only_faulted
    for told in session.run(_wanted(given), look, processes=given.processes, port=given.port):
        played += 1
        if sys.stderr.isatty():
            print(f"\r{played}", end="", file=sys.stderr)
        seen.update(told.result.fired)
        seen.update(told.result.reached)
        if told.result.violation is not None or given.seed is not None:
            _tell(told, whole=given.seed is not None)
        violation = told.result.violation
        failed += violation is not None
        if played % TOLD_EVERY == 0:
            missing = sometimes.missing(seen, played)
            print(f"{played} seeds so far, {failed} failed; not reached: {missing}", flush=True)
        found = given.find is not None and (violation or "").startswith(f"{given.find}:")
        if found or (given.find is None and failed >= given.failures):
            break
    seconds = time.monotonic() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    print(f"{played} seeds, {failed} failed, {seconds:.0f} s, {cpu:.0f} s of CPU with the stores")
    print(f"{session.EXCUSED}: {seen[session.EXCUSED]} seeds")
    if given.find is not None:
        return 0
    anything = given.seed is None and (given.returns, given.faults, given.kind) == (None,) * 3
    return 1 if failed or (anything and not _reached_enough(seen, played)) else 0


def _wanted(given: argparse.Namespace) -> list[Wanted]:
    allowed = tuple(RATES)
    if given.faults is not None:
        allowed = tuple(name for name in given.faults.split(",") if name in RATES)
    only = tuple(int(each) for each in given.returns.split(",")) if given.returns else None
    first, count = (given.seed, 1) if given.seed is not None else (given.first, given.seeds)
    return [
        Wanted(seed=first + number, only=only, allowed=allowed, kind=given.kind)
        for number in range(count)
    ]


def _reached_enough(seen: Counter[str], played: int) -> bool:
    """Whether a run that is long enough has been everywhere; tells where it has not."""
    expected, missing = sometimes.expected(played), sometimes.missing(seen, played)
    if not expected:
        return True
    print(f"sometimes: {len(expected) - len(missing)} of {len(expected)} reached")
    print(f"seldom: {', '.join(sometimes.seldom(seen)) or 'nothing'}")
    for name in missing:
        print(f"NEVER REACHED: {name}")
    for name in sometimes.also_never(seen):
        print(f"not reached either: {name}")
    return not missing


def _tell(told: Told, *, whole: bool) -> None:
    result = told.result
    print("\n".join(result.trace.lines if whole else result.trace.lines[-TRACE_LINES:]))
    print(f"seed {result.seed}: {result.steps} steps, trace {result.trace.hash}", flush=True)
    if result.violation is not None:
        print(f"seed {result.seed} FAILED: {result.violation}")
        print(f"replay it with: {told.wanted.command}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seed", type=int, help="one seed, with its trace")
    parser.add_argument("--returns", help="only these of its returns: 0,2")
    parser.add_argument("--faults", help="only these faults: kill,call; empty: none")
    parser.add_argument("--kind", choices=KINDS, help="all returns of this kind")
    parser.add_argument("--find", help="play until a seed breaks this invariant, such as I7")
    parser.add_argument("--port", type=int, help="of a server that has the stores already")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--failures", type=int, default=1, help="stop after so many")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
