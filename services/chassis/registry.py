"""Message classes by name, for messages that were stored: deadlines, effects, parked records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from contracts.base import Message
from contracts.topics import MESSAGES
from services.chassis.errors import Poison


class Registry:
    """Names are unique within a service; what its handlers know comes first."""

    def __init__(self, own: Iterable[type[Message]]) -> None:
        self._own = {message.__name__: message for message in own}

    def __getitem__(self, name: str) -> type[Message]:
        """Raises Poison for a name that no version of this service's code knows any more."""
        found = self._own.get(name) or MESSAGES.get(name) or _anywhere(name)
        if found is None:
            raise Poison(f"no message is called {name}")
        self._own[name] = found
        return found


def _anywhere(name: str) -> type[Message] | None:
    # Payloads of effects are declared beside their executors and handled by no one else.
    return next((each for each in _subclasses(Message) if each.__name__ == name), None)


def _subclasses(parent: type[Message]) -> Iterator[type[Message]]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)
