"""Cuts off a shared library what no loader reads: strip.py FOLDER, while the image is built.

Symbol tables, debug information and the table of sections stand behind the last segment of an ELF
file (System V ABI, chapters 4 and 5); loading goes by the segments alone. `strip` would do it as
well, and would have to be installed from another network than Python's packages come from.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

ELF_64_LITTLE = b"\x7fELF\x02\x01"
SEGMENT = struct.Struct("<IIQQQQQQ")  # type, flags, offset, address ×2, bytes in the file, …


def strip(library: bytes) -> bytes:
    """The same library without sections. Anything else than 64-bit little-endian ELF as it is."""
    if not library.startswith(ELF_64_LITTLE):
        return library
    (table,) = struct.unpack_from("<Q", library, 0x20)
    size, count = struct.unpack_from("<HH", library, 0x36)
    segments = [SEGMENT.unpack_from(library, table + size * n) for n in range(count)]
    ends = [offset + length for _, _, offset, _, _, length, *_ in segments]
    end = max(table + size * count, *ends)
    stripped = bytearray(library[:end])
    struct.pack_into("<Q", stripped, 0x28, 0)  # where the table of sections is
    struct.pack_into("<HH", stripped, 0x3C, 0, 0)  # how many there are, and the one of names
    return bytes(stripped)


if __name__ == "__main__":
    for path in Path(sys.argv[1]).rglob("*.so*"):
        if not path.is_symlink():
            path.write_bytes(strip(path.read_bytes()))
