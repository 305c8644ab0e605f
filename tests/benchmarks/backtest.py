"""`returns policy backtest` over many documents: seconds, and the memory of it and its workers.

`python -m tests.benchmarks.backtest [DOCUMENTS]` writes a file of that many documents (100,000
unless said otherwise) made from the golden ones, plays two policies against it, and fails where it
takes longer or more memory than it may.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
POLICY = ROOT / "deploy" / "policies" / "electronics.yaml"
DOCUMENTS = 100_000
SECONDS_MAX = 90
WORKERS = 2
GROWTH_MIB_MAX = 60
"""What the second half may take more than the first: memory is flat."""
LOOK_EVERY_SECONDS = 0.5


def written(folder: Path, count: int) -> Path:
    """A file with so many documents, one per line; each return has an id of its own."""
    found = [json.loads(file.read_text("utf-8")) for file in sorted(GOLDEN.glob("*.json"))]
    file = folder / "documents.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for number in range(count):
            document = dict(found[number % len(found)])
            document.pop("expect", None)
            request = document["request"] | {"return_id": f"00000000-0000-4000-8000-{number:012}"}
            out.write(json.dumps(document | {"request": request}) + "\n")
    return file


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = written(folder, count)
        began = time.monotonic()
        playing = subprocess.Popen(
            [
                *(sys.executable, "-m", "services.ops", "policy", "backtest", str(file)),
                *("--policy", str(POLICY), "--workers", str(WORKERS)),
                *("--report", str(folder / "report")),
            ],
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
        )
        sizes = _watched(playing)
        seconds = time.monotonic() - began
    half = len(sizes) // 2
    early, late = max(sizes[:half], default=0), max(sizes[half:], default=0)
    print(f"{count} documents in {seconds:.1f} s: {count / seconds:.0f} a second on two workers")
    print(f"memory of all processes: {early:.0f} MiB in the first half, {late:.0f} in the second")
    allowed = max(SECONDS_MAX * count / DOCUMENTS, 10)
    flat = late - early <= GROWTH_MIB_MAX
    return 0 if playing.returncode == 0 and seconds <= allowed and flat else 1


def _watched(playing: subprocess.Popen[bytes]) -> list[float]:
    """The memory of a process and its workers, MiB, as long as it lives."""
    sizes = []
    process = psutil.Process(playing.pid)
    while playing.poll() is None:
        try:
            every = [process, *process.children(recursive=True)]
            sizes.append(sum(each.memory_info().rss for each in every) / 1024 / 1024)
        except psutil.NoSuchProcess:
            pass
        time.sleep(LOOK_EVERY_SECONDS)
    return sizes


if __name__ == "__main__":
    sys.exit(main())
