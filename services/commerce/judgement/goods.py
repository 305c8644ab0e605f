"""Step 4: what fulfillment knows of the goods; a contradiction is for a person."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.assessments import LineReturnability
from services.commerce.judgement.case import Case
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.merchant import IN_GOODS
from services.commerce.judgement.notes import Note, note
from services.commerce.quote.calculation import Earlier

MISSING = "returnability"
AGREED = note("goods_agree", "fulfillment sees nothing against it", "goods.returnable")


def notes(case: Case, found: list[Entry], earlier: Earlier) -> Iterator[Note]:
    facts = case.returnability
    if facts is None:
        if MISSING in case.timed_out:
            yield note(
                "returnability_missing",
                "fulfillment did not answer in time; judged without its facts",
                "goods.timeout",
            )
        return
    agree = True
    for contradiction in facts.contradictions:
        agree = False
        yield note(
            "goods_contradict",
            f"{contradiction.code}: the system says: {contradiction.system_state};"
            f" the goods say: {contradiction.physical_state}",
            "goods.contradiction",
        )
    by_line = {line.line_id: line for line in facts.lines}
    for position, entry in enumerate(found):
        known = by_line.get(entry.bought.line_id) if entry.bought is not None else None
        if known is not None and entry.stands:
            for each in _line(entry, known, earlier, position):
                agree = False
                yield each
    offer = facts.replacement
    if case.request.resolution in IN_GOODS and offer is not None and not offer.available:
        yield note(
            "replacement_unavailable",
            f"{offer.sku} is out of stock; the customer will be asked",
            "goods.replacement",
        )
    if agree:
        yield AGREED


def _line(
    entry: Entry, known: LineReturnability, earlier: Earlier, position: int
) -> Iterator[Note]:
    if not known.returnable:
        yield note(
            "goods_not_returnable",
            f"fulfillment cannot take {entry.name} back: {known.refusal or 'no reason given'}",
            "goods.returnable",
            line=position,
        )
    expected = len(earlier.taken.get(known.line_id, frozenset()))
    if known.received_quantity > expected:
        yield note(
            "goods_already_back",
            f"{known.received_quantity} of {entry.name} are back in the warehouse,"
            f" other returns account for {expected}",
            "goods.received",
            line=position,
        )
