"""A return's papers: what was asked, what is known, what was decided; and the order it is about."""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel

from contracts.assessments import RefundabilityAssessed, ReturnabilityAssessed
from contracts.base import Part
from contracts.decisions import ReturnDecisionMade
from contracts.fulfillment import ReturnInspected
from contracts.orders import OrderSnapshot
from contracts.requests import Evidence, ReturnRequest
from services.commerce.model import EVIDENCE_MAX, Return


class Facts(Part):
    """The last answers of fulfillment and payment, and what the warehouse found."""

    returnability: ReturnabilityAssessed | None = None
    refundability: RefundabilityAssessed | None = None
    inspection: ReturnInspected | None = None
    """All inspections of this return together."""


Read = TypeVar("Read", bound=BaseModel)


class Paper(Generic[Read]):
    """A stored document that is parsed only when somebody reads it."""

    __slots__ = ("_kind", "_text", "_value")

    def __init__(self, kind: type[Read], text: str | None = None, value: Read | None = None):
        self._kind, self._text, self._value = kind, text, value

    @classmethod
    def of(cls, value: Read) -> Paper[Read]:
        return cls(type(value), None, value)

    def read(self) -> Read:
        if self._value is None:
            assert self._text is not None
            self._value = self._kind.model_validate_json(self._text)
        return self._value

    @property
    def text(self) -> str:
        if self._text is None:
            assert self._value is not None
            self._text = self._value.model_dump_json(exclude_none=True)
        return self._text


class Order:
    """An order as it stands. Most messages only have to know that it is there."""

    __slots__ = ("disputes", "order_id", "paper", "version")

    def __init__(
        self,
        order_id: str,
        version: int,
        paper: Paper[OrderSnapshot],
        disputes: tuple[str, ...] = (),
    ) -> None:
        self.order_id = order_id
        self.version = version
        self.paper = paper
        self.disputes = disputes
        """Payments under an open dispute."""

    @classmethod
    def of(cls, snapshot: OrderSnapshot, disputes: tuple[str, ...] = ()) -> Order:
        return cls(snapshot.order_id, snapshot.version, Paper.of(snapshot), disputes)

    @property
    def snapshot(self) -> OrderSnapshot:
        return self.paper.read()

    @property
    def value(self) -> int:
        """Goods in minor units, after discounts."""
        return sum(
            line.unit_price * line.quantity - line.discount_total for line in self.snapshot.lines
        )


class Dossier:
    """A return with its papers. Immutable by convention: every change makes a new one."""

    __slots__ = ("current", "facts", "made", "request", "standing")

    def __init__(
        self,
        current: Return,
        request: Paper[ReturnRequest],
        facts: Paper[Facts],
        standing: Paper[ReturnDecisionMade] | None = None,
        made: tuple[ReturnDecisionMade, ...] = (),
    ) -> None:
        self.current = current
        self.request = request
        self.facts = facts
        self.standing = standing
        """The decision with the highest sequence."""
        self.made = made
        """Decisions that are not stored yet."""

    @property
    def return_id(self) -> str:
        return self.current.return_id

    def same_as(self, other: Dossier) -> bool:
        """Whether nothing would have to be written to come from here to there."""
        return (
            self.current is other.current
            and self.request is other.request
            and self.facts is other.facts
            and self.made == other.made
        )


def with_evidence(request: ReturnRequest, added: tuple[Evidence, ...]) -> ReturnRequest:
    """The request with more evidence: each id once, the oldest kept, at most EVIDENCE_MAX."""
    known = {each.evidence_id for each in request.evidence}
    new = tuple(each for each in added if each.evidence_id not in known)
    return request.model_copy(update={"evidence": (*request.evidence, *new)[:EVIDENCE_MAX]})


def oldest_facts(facts: Facts) -> datetime | None:
    """How old the facts are that a decision rests on; None: there are none."""
    known = [each.as_of for each in (facts.returnability, facts.refundability) if each is not None]
    return min(known, default=None)
