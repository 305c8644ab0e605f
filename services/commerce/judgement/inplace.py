"""What the customer has in place of units that came back: a replacement is a delivery too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.commerce.judgement.case import Case
from services.commerce.judgement.entries import Entry
from services.commerce.judgement.notes import Note, note
from services.commerce.law import zones
from services.commerce.policy.model import WindowAnchor
from services.commerce.quote.calculation import Earlier


@dataclass(frozen=True, kw_only=True, slots=True)
class InPlace:
    """A replacement's parcel."""

    shipped_at: datetime
    delivered_at: datetime | None = None

    def counts_from(self, anchor: WindowAnchor, transit: timedelta) -> datetime:
        """Day 0 of a window with this anchor; a missing delivery falls back to its transit."""
        if anchor is WindowAnchor.SHIPPED:
            return self.shipped_at
        return self.delivered_at or later(self.shipped_at, transit)


def later(instant: datetime, wait: timedelta) -> datetime:
    """`instant` moved by `wait`, as far as there is a calendar."""
    try:
        return instant + wait
    except OverflowError:
        return zones.END_OF_TIME


def of_line(case: Case, line_id: str) -> tuple[InPlace, ...]:
    """Replacements for units of the line: as fulfillment tells; a quote asks nobody, and goes by
    what is known here."""
    if case.returnability is not None:
        return tuple(
            InPlace(shipped_at=sent.shipped_at, delivered_at=sent.delivered_at)
            for line in case.returnability.lines
            if line.line_id == line_id
            for sent in line.replacements
        )
    if not case.replaced:
        return ()
    shipped = {each.return_id: each.shipped_at for each in case.replaced}
    return tuple(
        InPlace(shipped_at=at)
        for decision in case.earlier
        if (at := shipped.get(decision.return_id)) is not None
        and any(line.line_id == line_id and line.units for line in decision.lines)
    )


def notes(case: Case, found: list[Entry], earlier: Earlier) -> Iterator[Note]:
    """Which lines are about a replacement: the thing that was sold came back before, or a person
    looks why it did not."""
    open_ones = {each.return_id for each in case.replaced if each.open}
    unseen = {
        (line.line_id, unit)
        for decision in case.earlier
        if decision.return_id in open_ones
        for line in decision.lines
        for unit in line.units
    }
    for position, entry in enumerate(found) if earlier.anew else ():
        if entry.bought is None or not entry.stands:
            continue
        line_id = entry.bought.line_id
        again = [unit for unit in entry.units if (line_id, unit) in earlier.anew]
        if any((line_id, unit) in unseen for unit in again):
            yield note(
                "replaced_goods_unseen",
                f"a replacement of {entry.name} is to come back before anybody has seen what it"
                " replaced",
                "trace.replacement",
                line=position,
            )
        elif again:
            yield note(
                "replacement_returned",
                f"{len(again)} of {entry.name} were replaced before without a refund;"
                " the replacement comes back",
                "trace.replacement",
                line=position,
            )
