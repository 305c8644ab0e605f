"""A record that can never succeed: set aside with its bytes, and named on the bus."""

from __future__ import annotations

from contracts.base import Identifier, Message, ReturnId, Text, Version


class RecordQuarantined(Message):
    service: Identifier
    topic: Identifier
    partition: Version
    offset: Version
    return_id: ReturnId | None = None
    order_id: Identifier | None = None
    reason: Text
