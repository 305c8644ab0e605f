"""What one decision costs, in microseconds of one core, without parsing and counterfactual.

`python -m tests.benchmarks.judgement` prints each golden document's best of several rounds and
fails where the median of all is over the mark. CPU time is measured, so that neighbours on the
machine count little; the best round, because the others only show what else ran. Garbage is
looked for as seldom as in a service.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

from services.chassis import garbage
from services.commerce import judgement
from services.commerce.policy.versions import BUILT_IN_VERSIONS
from services.ops import decide

GOLDEN = Path(__file__).parents[1] / "golden"
MICROSECONDS_MAX = 300
ROUNDS = 15
DECISIONS_PER_ROUND = 100


def measured(case: judgement.Case) -> float:
    """Microseconds of CPU for one decision: the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(DECISIONS_PER_ROUND):
            judgement.judge(case, counterfactual=False)
        best = min(best, (time.process_time() - began) / DECISIONS_PER_ROUND)
    return best * 1e6


def main() -> int:
    costs: dict[str, float] = {}
    garbage.look_seldom()
    for file in sorted(GOLDEN.glob("*.json")):
        case = decide.read_case(1, json.loads(file.read_text("utf-8")), BUILT_IN_VERSIONS)
        if case.inspection is None:
            costs[file.stem] = measured(case)
    for name, cost in sorted(costs.items(), key=lambda each: each[1]):
        print(f"{name:20} {cost:6.0f} µs")
    middle = statistics.median(costs.values())
    print(f"median {middle:.0f} µs of {len(costs)} golden documents; at most {MICROSECONDS_MAX}")
    return 0 if middle <= MICROSECONDS_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
