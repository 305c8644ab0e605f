"""E-mail to the people who decide. Without SMTP_URL none is ever asked for."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from services.chassis.errors import Transient
from services.chassis.service import Executor
from services.commerce.messages import NotifyReviewers, ReviewersNotified

SMTP_SECONDS_MAX = 20
SMTP_PORT = 25


def sender(smtp_url: str) -> Executor:
    """The executor that sends over smtp:// or smtps://. Raises Transient where that fails."""

    async def send(mail: NotifyReviewers) -> ReviewersNotified:
        try:
            await asyncio.to_thread(_send, smtp_url, mail)
        except (OSError, smtplib.SMTPException) as error:
            raise Transient(f"mail could not be sent: {type(error).__name__}") from error
        return ReviewersNotified(return_id=mail.return_id)

    return send


def _send(smtp_url: str, mail: NotifyReviewers) -> None:
    address = urlsplit(smtp_url)
    letter = EmailMessage()
    letter["From"] = letter["To"] = mail.to
    letter["Subject"] = mail.subject
    letter.set_content(mail.text)
    kind = smtplib.SMTP_SSL if address.scheme == "smtps" else smtplib.SMTP
    host, port = address.hostname or "127.0.0.1", address.port or SMTP_PORT
    with kind(host, port, timeout=SMTP_SECONDS_MAX) as server:
        if address.username and address.password:
            server.login(unquote(address.username), unquote(address.password))
        server.send_message(letter)
