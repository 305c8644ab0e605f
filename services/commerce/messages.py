"""Messages of commerce to itself: waits that ran out, and e-mail to people."""

from __future__ import annotations

from contracts.base import Identifier, Instant, Message, Ordinal, ReturnId, Text
from contracts.quotes import Quote


class OfReturn(Message):
    return_id: ReturnId


class WaitOver(OfReturn):
    """The status with this number has lasted as long as it may."""

    number: Ordinal
    again: bool = False
    """The grace after it is over, too."""


class FactsOverdue(OfReturn):
    """The answers of this round have not come in time."""

    round: Ordinal


class NotifyReviewers(OfReturn):
    """E-mail to the escalation address of the policy."""

    to: Text
    subject: Text
    text: Text


class ReviewersNotified(OfReturn):
    pass


class QuoteGiven(Message):
    """A quote that was shown to somebody: kept, so that it can be compared with the decision."""

    quote: Quote
    order_id: Identifier | None = None
    given_at: Instant
