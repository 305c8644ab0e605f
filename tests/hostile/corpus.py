"""The corpus: one file per attack, read as a record of the bus or as an HTTP request.

A file is a block of lines `Name: value`, an empty line, and the bytes of the body as they are sent:

| line | means |
|---|---|
| `Attacks:` | what it attacks, in one sentence |
| `Topic:` / `Call:` | the topic without its prefix / method and path |
| `Expect:` | see `Expected` |
| `Key:` | the record's key |
| `Type:` | the four `ce_` headers for this message, with an id of the file's own |
| `Header:` | one more header, `name=value`; `Header-Hex:` has the value in hexadecimal |
| `Repeat:` | `MARK 100000 [`: MARK in the body stands for so many copies of the text |
| `Gzip:` | the body is compressed before it is sent |

What is large is a recipe, so that no file has more than a few kilobytes.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

FOLDER = Path(__file__).parent / "corpus"
NAMES = frozenset(
    ("Attacks", "Topic", "Call", "Expect", "Key", "Type", "Header", "Header-Hex", "Repeat", "Gzip")
)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What has to come of a case: `how`, and the text or field that the answer names.

    On the bus `how` is `quarantined` (`what` is in the reason), `handled` or `either`; over HTTP
    the statuses that may be answered (`422 lines.0.quantity` or `202,422`; `closed`: hung up).
    """

    how: tuple[str, ...]
    what: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """One attack."""

    name: str
    attacks: str
    topic: str | None
    call: tuple[str, str]
    expected: Expected
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    template: bytes
    repeats: tuple[tuple[bytes, int, bytes], ...]
    """What stands in the template for so many copies of what."""
    compressed: bool

    def body(self) -> bytes:
        """The bytes as they are sent; made when they are needed, for some are large."""
        made = self.template
        for mark, times, text in self.repeats:
            made = made.replace(mark, text * times)
        return gzip.compress(made, 1) if self.compressed else made


def cases(folder: str) -> list[Case]:
    """The cases below a folder of the corpus, by name."""
    return [read(file) for file in sorted((FOLDER / folder).rglob("*.case"))]


def read(file: Path) -> Case:
    """Raises ValueError for a file that is not written as the table above says."""
    head, _, body = file.read_bytes().partition(b"\n\n")
    lines = [line.partition(": ") for line in head.decode().splitlines()]
    unknown = {name for name, *_ in lines} - NAMES
    if unknown:
        raise ValueError(f"{file}: {sorted(unknown)}")
    found = {name: value for name, _, value in lines}
    name = file.relative_to(FOLDER).with_suffix("").as_posix()
    repeats = [value.split(" ", 2) for name, _, value in lines if name == "Repeat"]
    how, _, what = found["Expect"].partition(" ")
    method, _, path = found.get("Call", "").partition(" ")
    return Case(
        name=name,
        attacks=found["Attacks"],
        topic=found.get("Topic"),
        call=(method, path),
        expected=Expected(how=tuple(how.split(",")), what=what),
        key=found.get("Key", "").encode(),
        headers=(*_event(found.get("Type"), name), *_headers(lines)),
        template=body,
        repeats=tuple((mark.encode(), int(times), text.encode()) for mark, times, text in repeats),
        compressed="Gzip" in found,
    )


def _event(type_: str | None, name: str) -> tuple[tuple[str, bytes], ...]:
    if type_ is None:
        return ()
    return (
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid5(NAMESPACE_URL, name)).encode()),
        ("ce_source", b"/stranger"),
        ("ce_type", f"returns.{type_}.v1".encode()),
    )


def _headers(lines: list[tuple[str, str, str]]) -> list[tuple[str, bytes]]:
    found = []
    for name, _, value in lines:
        header, _, text = value.partition("=")
        if name == "Header":
            found.append((header, text.encode()))
        elif name == "Header-Hex":
            found.append((header, bytes.fromhex(text)))
    return found
