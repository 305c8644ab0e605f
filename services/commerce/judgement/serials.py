"""Serial numbers read at the inspection, against those that were sold."""

from __future__ import annotations

from contracts.fulfillment import InspectedLine, ReturnInspected
from contracts.orders import OrderLine, OrderSnapshot
from contracts.requests import EvidencePurpose


def others(bought: OrderLine, line: InspectedLine) -> list[str]:
    """Numbers that were not sold as this line; none where the order keeps no numbers."""
    if not bought.serials:
        return []
    sold = {_plain(number) for number in bought.serials}
    read = [
        each.text
        for each in line.evidence
        if each.purpose is EvidencePurpose.SERIAL_NUMBER and each.text is not None
    ]
    return [number for number in read if _plain(number) not in sold]


def _plain(number: str) -> str:
    """As people read it off a label: spaces, hyphens and case do not count."""
    return "".join(each for each in number.upper() if each.isalnum())


def is_mismatch(order: OrderSnapshot | None, inspection: ReturnInspected | None) -> bool:
    """Whether any thing that came back has a number that this order was not sent."""
    if order is None or inspection is None:
        return False
    bought = {line.line_id: line for line in order.lines}
    return any(
        line.line_id in bought and others(bought[line.line_id], line) for line in inspection.lines
    )
