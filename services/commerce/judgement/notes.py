"""Findings while they are gathered: each knows which lines it is about."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from contracts.decisions import Effect, EscalationReason, Finding
from services.commerce.policy import weights

EXPLANATION_LENGTH_MAX = 2000
FINDINGS_REMEMBERED_MAX = 4096
"""Most findings of most decisions are the same words; they are immutable and made once."""


class Note(NamedTuple):
    """A finding; `lines` are the positions of the lines it is about, none: the whole return."""

    finding: Finding
    lines: tuple[int, ...] = ()

    @property
    def asks_a_person(self) -> bool:
        return self.finding.effect is Effect.REQUIRES_REVIEW

    @property
    def reason(self) -> EscalationReason | None:
        return weights.KINDS[self.finding.code].reason


@lru_cache(maxsize=FINDINGS_REMEMBERED_MAX)
def finding(
    code: str,
    explanation: str,
    rule_id: str,
    source: str | None = None,
    *,
    effect: Effect | None = None,
) -> Finding:
    """A finding whose effect and weight are those of the table (`policy/weights`).

    `effect` replaces the table's only among findings without weight.
    """
    kind = weights.KINDS[code]
    return Finding(
        code=code,
        effect=kind.effect if effect is None else effect,
        weight=kind.weight,
        explanation=explanation[:EXPLANATION_LENGTH_MAX],
        rule_id=rule_id,
        source=source,
    )


def note(
    code: str,
    explanation: str,
    rule_id: str,
    source: str | None = None,
    *,
    line: int | None = None,
    lines: tuple[int, ...] = (),
    effect: Effect | None = None,
) -> Note:
    """A note on one `line`, on several `lines`, or on the whole return."""
    about = lines if line is None else (line,)
    return Note(finding(code, explanation, rule_id, source, effect=effect), about)


def confidence(findings: Iterable[Finding]) -> float:
    """1 - the weights of what opposes or requires review: 0..1, four decimals."""
    return weights.confidence(
        [
            each.weight
            for each in findings
            if each.weight and each.effect in (Effect.OPPOSES, Effect.REQUIRES_REVIEW)
        ]
    )


def first_reason(findings: Iterable[Finding]) -> EscalationReason | None:
    """The reason that comes first in the order of judgement; None: nobody has to be asked."""
    asking = [
        each
        for each in findings
        if each.effect is Effect.REQUIRES_REVIEW and each.code in weights.KINDS
    ]
    if not asking:
        return None
    return weights.KINDS[min((each.code for each in asking), key=weights.rank)].reason
