"""Units of an order that were replaced: they are with the customer again, and can come back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from contracts.orders import OrderLine
from contracts.requests import RequestLine
from services.commerce.judgement import Replaced
from services.commerce.model import Exchange, ReplacementState, Return
from services.commerce.papers import Dossier

InPlace = frozenset[tuple[str, str]]
"""(line_id, SKU of what was sent in place of units of the line)"""


def _replaced(others: Iterable[Dossier]) -> Iterator[tuple[Return, Exchange]]:
    """Those whose replacement was shipped. Never undone, whatever a person decides later."""
    for each in others:
        current, exchange = each.current, each.current.exchange
        if exchange is None or exchange.state is not ReplacementState.SHIPPED:
            continue
        yield current, exchange


def replaced(others: Iterable[Dossier]) -> tuple[Replaced, ...]:
    """Other returns of the order in whose place the customer has something."""
    return tuple(
        Replaced(
            return_id=current.return_id,
            shipped_at=exchange.shipped_at,
            open=not current.goods_done,
        )
        for current, exchange in _replaced(others)
    )


def in_place(others: Iterable[Dossier]) -> InPlace:
    """What was sent in place of which lines' units."""
    return frozenset(
        (unit.line_id, exchange.sku)
        for current, exchange in _replaced(others)
        for unit in current.units
    )


def is_named(line: OrderLine, asked: RequestLine, sent: InPlace) -> bool:
    """Whether a line of the request may be about this line of the order."""
    if asked.line_id:
        return line.line_id == asked.line_id
    return line.sku == asked.sku or (line.line_id, asked.sku) in sent


def product(line: OrderLine, asked: RequestLine, sent: InPlace) -> str:
    """The SKU that is asked about: the line's own, unless another one was sent in its place."""
    return asked.sku if (line.line_id, asked.sku) in sent else line.sku
