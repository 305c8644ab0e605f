"""A return as a page for its customer: the label, the parcel's way, what comes next and by when.

Pure: from the same answer that programs get. Works without scripts; loads the QR code and nothing
else. Whatever is shown came from outside, so all of it is escaped.
"""

from __future__ import annotations

import html
from datetime import UTC, datetime

from contracts.fulfillment import ReturnLabelIssued
from contracts.lifecycle import Party, Status
from services.gateway.answer import ReturnAnswer
from services.gateway.model import Sighting

STYLE = """:root{color-scheme:light dark}
body{font:1.0625rem/1.55 system-ui,sans-serif;max-width:40rem;margin:0 auto;padding:1rem;
overflow-wrap:anywhere}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.15rem;margin-top:2rem}
.next{border-left:.3rem solid #1a5fb4;padding:.1rem 1rem}
.button{display:inline-block;background:#1a5fb4;color:#fff;padding:.7rem 1.2rem;
border-radius:.3rem}
img{display:block;margin:1rem 0;width:12rem;max-width:100%;background:#fff}
ol{padding-left:1.3rem}li{margin:.6rem 0}"""
POLICY = "default-src 'none'; img-src http: https:; style-src 'unsafe-inline'"
"""Content-Security-Policy of the page: pictures from the carrier, and nothing that runs."""
WHO = {
    Party.CUSTOMER: "It is your turn.",
    Party.FULFILLMENT: "Our warehouse or the carrier acts next.",
    Party.PAYMENT: "Your refund is being made.",
    Party.REVIEWER: "One of our people is looking at it.",
    Party.COMMERCE: "We are working on it.",
    Party.NONE: "Nothing more has to be done.",
}
NO_LABEL_NEEDED = frozenset(
    {Status.REJECTED, Status.CANCELLED, Status.EXPIRED, Status.SETTLED, Status.PENDING_SETTLEMENT,
     Status.PHYSICALLY_RECEIVED, Status.QUALITY_CHECK}
)  # fmt: skip
"""Where there is nothing to send, or it was sent: the label is not offered any more."""


def page(answer: ReturnAnswer) -> str:
    """The whole HTML document, in English."""
    parts = [_next(answer)]
    if answer.label is not None and answer.status not in NO_LABEL_NEEDED:
        parts.append(_label(answer.label))
    if answer.goods.tracking:
        entries = "".join(_scan(each) for each in answer.goods.tracking)
        parts.append(
            f'<h2 id="way">Where the parcel is</h2><ol aria-labelledby="way">{entries}</ol>'
        )
    steps = "".join(
        f"<li>{_time(each.at)}<br>{html.escape(each.explanation)}</li>" for each in answer.timeline
    )
    parts.append(
        f'<h2 id="before">What happened so far</h2><ol aria-labelledby="before">{steps}</ol>'
    )
    order = f" of order {html.escape(answer.order_id)}" if answer.order_id else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer">'
        f"<title>Your return{order}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>Your return{order}</h1>{''.join(parts)}</main></body></html>"
    )


def _next(answer: ReturnAnswer) -> str:
    who = WHO.get(answer.waiting_on, WHO[Party.COMMERCE])
    until = f"<p>By {_time(answer.until)}</p>" if answer.until else ""
    due = f"<p>Your refund is due by {_time(answer.refund_due)}</p>" if answer.refund_due else ""
    return (
        '<section class="next" aria-labelledby="next"><h2 id="next">What happens next</h2>'
        f"<p><strong>{who}</strong></p><p>{html.escape(answer.explanation)}</p>{until}{due}"
        "</section>"
    )


def _label(label: ReturnLabelIssued) -> str:
    number = html.escape(label.tracking_number)
    paper, code = _web(label.label_url), _web(label.qr_url)
    parts = ["<h2>Your label</h2>"]
    if paper is not None:
        parts.append(f'<p><a class="button" href="{paper}">Open the label (PDF)</a></p>')
    if code is not None:
        parts.append("<p>No printer? Show this code at the counter.</p>")
        parts.append(f'<img src="{code}" alt="QR code of your label, number {number}">')
    parts.append(
        f"<p>{html.escape(label.carrier)}, tracking number <code>{number}</code>. "
        f"Valid until {_time(label.expires_at)}.</p>"
    )
    return "".join(parts)


def _scan(seen: Sighting) -> str:
    return f"<li>{_time(seen.at)}<br>{html.escape(seen.what)}</li>"


def _web(link: str | None) -> str | None:
    """The link, where a browser would fetch it rather than run it, ready for an attribute."""
    if link is None or not link.lower().startswith(("https://", "http://")):
        return None
    return html.escape(link)


def _time(at: datetime) -> str:
    utc = at.astimezone(UTC)
    return f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}">{utc.day} {utc:%B %Y, %H:%M} UTC</time>'
