"""Whether the unit tests reach 95 % of the branches of the judge and the process: `make coverage`.

The figure that coverage itself compares counts statements too, which hides branches.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

BRANCHES_MIN = 95.0


def main() -> int:
    """Reads `.coverage` of the run before; 1 where too few branches were reached."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage.json"
        told = [sys.executable, "-m", "coverage", "json", "-q", "-o", str(file)]
        subprocess.run(told, check=True)
        totals = json.loads(file.read_text("utf-8"))["totals"]
    reached = 100 * totals["covered_branches"] / totals["num_branches"]
    print(
        f"{totals['covered_branches']} of {totals['num_branches']} branches reached:"
        f" {reached:.1f} % (at least {BRANCHES_MIN:.0f})"
    )
    return 0 if reached >= BRANCHES_MIN else 1


if __name__ == "__main__":
    sys.exit(main())
