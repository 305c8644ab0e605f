"""The `returns` command, as people and programs use it on a system that runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.blackbox.world import Json, Stranger, a_request, an_order, new_id, until

pytestmark = pytest.mark.asyncio
RETURNS = Path(sys.executable).parent / "returns"
SECONDS_MAX = 60


def started(stranger: Stranger, *arguments: str) -> subprocess.Popen[str]:
    """The command, on the system of these tests."""
    return subprocess.Popen(
        [str(RETURNS), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "RETURNS_HOME": str(stranger.world.home)},
    )


async def call(stranger: Stranger, *arguments: str, text: str = "") -> tuple[int, str, str]:
    """Exit status, output, errors."""
    process = started(stranger, *arguments)
    out, errors = await asyncio.to_thread(process.communicate, text, SECONDS_MAX)
    assert "Traceback" not in errors, errors
    return process.returncode, out, errors


async def listed(stranger: Stranger) -> list[Json]:
    status, out, _ = await call(stranger, "quarantine", "list", "--json")
    assert status == 0
    found: list[Json] = json.loads(out)
    return found


async def set_aside(stranger: Stranger, value: bytes, reason: str) -> Json:
    """The entry of a record whose reason names `reason`."""
    await stranger.publish("returns.requests", value, key=new_id())

    async def there() -> Json | None:
        rows = await listed(stranger)
        ours = [row for row in rows if reason in row["reason"] and row["service"] == "commerce"]
        return ours[0] if ours else None

    entry: Json = await until(there, about=f"an entry about {reason}")
    return entry


async def test_submit_takes_a_file_or_standard_input_and_the_same_file_again(
    stranger: Stranger, tmp_path: Path
) -> None:
    order = an_order()
    await stranger.place(order)
    request = a_request(order)
    file = tmp_path / "request.json"
    file.write_text(json.dumps(request))
    status, out, _ = await call(stranger, "submit", str(file))
    assert (status, out) == (
        0,
        f"accepted: {request['return_id']} (returns show {request['return_id']})\n",
    )
    status, out, _ = await call(stranger, "submit", "-", "--json", text=file.read_text())
    assert status == 0
    assert json.loads(out)["return_id"] == request["return_id"]


async def test_submit_says_what_is_wrong_with_a_request(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    request = a_request(order)
    await stranger.ask(request)
    other = json.dumps(request | {"resolution": "store_credit"})
    status, out, errors = await call(stranger, "submit", "-", text=other)
    assert (status, out) == (1, "")
    assert errors.startswith("409: ")
    bad = json.dumps(a_request(order) | {"lines": [], "locale": 7})
    status, _, errors = await call(stranger, "submit", "-", text=bad)
    assert status == 1
    assert errors.startswith("422: ")
    assert "lines: " in errors
    assert "locale: " in errors


async def test_show_and_watch_tell_a_return_to_its_end(stranger: Stranger) -> None:
    order = an_order()
    await stranger.place(order)
    return_id = await stranger.ask(a_request(order))
    await stranger.labelled(return_id)
    for_people = started(stranger, "watch", return_id)
    for_programs = started(stranger, "watch", return_id, "--json")
    await stranger.send_back(return_id, order)
    told, _ = await asyncio.to_thread(for_people.communicate, "", SECONDS_MAX)
    lines, _ = await asyncio.to_thread(for_programs.communicate, "", SECONDS_MAX)
    assert (for_people.returncode, for_programs.returncode) == (0, 0)
    changes = [json.loads(line) for line in lines.splitlines()]
    assert [change["number"] for change in changes] == list(range(1, len(changes) + 1))
    assert changes[-1]["status"] == "settled"
    assert f"{return_id} settled" in told.splitlines()[-1]

    status, out, _ = await call(stranger, "show", return_id, "--json")
    assert status == 0
    assert json.loads(out) == await stranger.see(return_id)
    status, out, _ = await call(stranger, "show", return_id)
    assert status == 0
    assert all(text in out for text in (return_id, order["order_id"], "222.00 USD", "settled"))


async def test_an_unknown_return_is_told_in_a_sentence(stranger: Stranger) -> None:
    for command in ("show", "watch"):
        for unknown in (new_id(), "no id/at all"):
            status, out, errors = await call(stranger, command, unknown)
            assert (status, out) == (1, "")
            assert errors.startswith("404: ")


async def test_a_record_is_looked_at_refused_again_and_handled_once_it_is_mended(
    stranger: Stranger, tmp_path: Path
) -> None:
    order = an_order()
    await stranger.place(order)
    name = f"Request{new_id()}"
    request = a_request(order)
    value = json.dumps(request | {"type": name}).encode()
    entry = await set_aside(stranger, value, name)

    status, out, _ = await call(stranger, "quarantine", "show", entry["id"], "--json")
    assert status == 0
    assert json.loads(out)["value"] == value.decode()
    status, out, _ = await call(stranger, "quarantine", "show", entry["id"])
    assert status == 0
    assert f"value: {value.decode()}" in out

    status, _, errors = await call(stranger, "quarantine", "redrive", entry["id"])
    assert status == 1
    assert errors == f"{entry['id']} was not handled: {entry['reason']}\n"
    assert entry in await listed(stranger)

    mended = tmp_path / "mended.json"
    mended.write_text(json.dumps(request | {"type": "ReturnRequest"}))
    with_value = ("quarantine", "redrive", entry["id"], "--value", str(mended))
    assert (await call(stranger, *with_value))[:2] == (0, f"{entry['id']} was handled\n")
    await stranger.reaches(request["return_id"], "awaiting_physical_receipt")
    assert entry["id"] not in {row["id"] for row in await listed(stranger)}
    status, out, _ = await call(stranger, *with_value, "--json")
    assert status == 1
    assert json.loads(out)["redriven"] is False
