"""How the command speaks: people read it on a terminal, programs read `--json`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import httpx
import typer
from rich.console import Console
from rich.text import Text

from services.ops.embedded.processes import StartFailed
from services.ops.home import InUse

OK, FAILED, WRONG_USE = 0, 1, 2
ENDING = (signal.SIGINT, signal.SIGTERM)

# What strangers wrote is shown as they wrote it: nothing in a text is an instruction.
out = Console(highlight=False, markup=False, emoji=False)
errors = Console(stderr=True, highlight=False, markup=False, emoji=False)

P = ParamSpec("P")
R = TypeVar("R")


class Refused(Exception):
    """The thing failed for a reason that one sentence tells."""


def print_json(value: Any) -> None:
    """One value on one line of standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")) + "\n")
    sys.stdout.flush()


def say(sentence: str) -> None:
    """Tell a person something beside the output: on standard error."""
    errors.print(sentence, soft_wrap=True)


def tell(*parts: str | tuple[str, str]) -> None:
    """One line of output, never broken: texts, and (text, style)."""
    out.print(Text.assemble(*parts), soft_wrap=True)


def mark(holds: bool) -> tuple[str, str]:
    """A green tick or a red cross, for `tell`."""
    return ("✓", "green") if holds else ("✗", "red")


def in_one_sentence(command: Callable[P, R]) -> Callable[P, R]:
    """What people can mend is told in a sentence and ends with 1; no traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (Refused, StartFailed, InUse) as error:
            say(str(error))
        except httpx.TransportError as error:
            say(
                f"{error.request.url.host}:{error.request.url.port} does not answer: start it"
                " with `returns up`, or set GATEWAY_URL"
            )
        except KeyboardInterrupt:
            say("stopped")
        raise typer.Exit(FAILED)

    return wrapped


@asynccontextmanager
async def ended_by_signals() -> AsyncIterator[None]:
    """SIGINT and SIGTERM end the block as if it were done; what it opened is closed in order.

    Code that keeps the event loop waiting hears of them only when it is `interruptible`.
    """
    task = asyncio.current_task()
    assert task is not None  # we are in a coroutine

    def end() -> None:
        if not task.cancelling():  # a second Ctrl-C must not interrupt the closing
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, end)
    try:
        yield
    except KeyboardInterrupt:
        pass
    except asyncio.CancelledError:
        if not task.cancelling():
            raise
        task.uncancel()
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """For a block without `await`: SIGINT and SIGTERM raise KeyboardInterrupt within it, once."""

    def interrupt(number: int, frame: object) -> None:
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)  # a second one must not interrupt the closing
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
