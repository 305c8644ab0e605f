"""What no HTTP client would send: it is refused or hung up on, and others are served."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from tests.hostile.faces import Face

FACES = ("gateway", "payment", "sandbox")
ANSWER_SECONDS_MAX = 60
UNFINISHED = 100
PIECE = b"a" * 65536
ENDLESS_BYTES = 50_000_000
STATUS_LINE = re.compile(rb"^HTTP/1\.1 (\d{3}) ", re.MULTILINE)
POST = b"POST /returns HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
SECOND = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
ATTACKS = {
    "chunk size that is no number": POST
    + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "negative chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
    "chunk of 2^64 bytes": POST + b"Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{}",
    "length that is no number": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "negative length": POST + b"Content-Length: -2\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
    "unknown transfer coding": POST + b"Transfer-Encoding: cow\r\n\r\n0\r\n\r\n",
    "header of 200 kB": b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    "path of 200 kB": b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
    "header without a colon": b"GET /healthz HTTP/1.1\r\nHost: h\r\nnonsense\r\n\r\n",
    "U+0000 in a header": b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n",
    "headers without number": b"GET /healthz HTTP/1.1\r\nHost: h\r\n" + b"X: a\r\n" * 50_000,
    "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
    "unknown version": b"GET /healthz HTTP/9.9\r\nHost: h\r\n\r\n",
}
SMUGGLED = {
    "a chunked body with a length": POST
    + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + SECOND,
    "a length with a chunked body": POST
    + b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n0\r\n\r\n" % (5 + len(SECOND))
    + SECOND,
    "a coding with a space before the colon": POST
    + b"Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}",
    "a coding in two words": POST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"
    + SECOND,
}
"""Requests about whose end a proxy before us could think otherwise than we do."""


@contextmanager
def connected(face: Face) -> Iterator[socket.socket]:
    url = urlsplit(face.url)
    address = (str(url.hostname), int(url.port or 0))
    with socket.create_connection(address, ANSWER_SECONDS_MAX) as made:
        yield made


def said_to(face: Face, attack: bytes) -> list[int]:
    """The statuses of all answers until the other side hangs up; we close our half first."""
    heard = b""
    with connected(face) as raw, suppress(ConnectionError):  # refused before all of it was read
        raw.sendall(attack)
        with suppress(OSError):  # it has hung up already
            raw.shutdown(socket.SHUT_WR)
        while got := raw.recv(65536):
            heard += got
    return [int(status) for status in STATUS_LINE.findall(heard)]


def assert_served(face: Face) -> None:
    with face.client() as client:
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("face", FACES, indirect=True)
def test_malformed_requests_are_refused_or_hung_up_on_and_others_are_served(face: Face) -> None:
    for name, attack in ATTACKS.items():
        statuses = said_to(face, attack)
        assert all(400 <= status < 500 for status in statuses), f"{name}: {statuses}"
        assert_served(face)


@pytest.mark.parametrize("face", FACES, indirect=True)
def test_no_second_request_is_smuggled_in_behind_a_doubtful_first(face: Face) -> None:
    for name, attack in SMUGGLED.items():
        statuses = said_to(face, attack)
        assert len(statuses) <= 1 and 200 not in statuses, f"{name}: {statuses}"
        assert all(400 <= status < 500 for status in statuses), f"{name}: {statuses}"
        assert_served(face)


@pytest.mark.parametrize("face", FACES, indirect=True)
def test_callers_who_never_finish_a_request_keep_nobody_waiting(face: Face) -> None:
    """Slow headers, and bodies of which only the first byte comes."""
    with ExitStack() as stack:
        for number in range(UNFINISHED):
            raw = stack.enter_context(connected(face))
            raw.sendall(POST + b"Content-Length: 100\r\n\r\n{" if number % 2 else POST[:-2])
        assert_served(face)
    assert_served(face)


@pytest.mark.parametrize("face", FACES, indirect=True)
def test_a_head_that_never_ends_is_hung_up_on_before_it_fills_the_memory(face: Face) -> None:
    with connected(face) as raw, pytest.raises(ConnectionError):
        raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nX: ")
        for _ in range(ENDLESS_BYTES // len(PIECE)):
            raw.sendall(PIECE)
    assert_served(face)
