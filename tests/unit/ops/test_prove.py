"""The proof of a refund is one chain, from the request to the settlement."""

from __future__ import annotations

from typing import Any

import pytest

from services.ops.prove import chained

LINKS: list[dict[str, Any]] = [
    {"step": "request", "at": None, "content": {"timeline": ["submitted"]}},
    {"step": "decision", "at": None, "content": {"decision": "approved"}},
    {"step": "release", "at": None, "content": {"amount": 100}, "sha256": "of the service"},
]


@pytest.mark.parametrize("changed", range(len(LINKS)))
def test_a_change_in_any_link_changes_the_last_hash(changed: int) -> None:
    other = [dict(link) for link in LINKS]
    other[changed]["content"] = {"forged": True}
    assert chained(other)[-1]["sha256"] != chained(LINKS)[-1]["sha256"]


def test_a_link_that_is_left_out_changes_the_last_hash() -> None:
    assert chained(LINKS[1:])[-1]["sha256"] != chained(LINKS)[-1]["sha256"]
    assert [link["step"] for link in chained(LINKS)] == ["request", "decision", "release"]
