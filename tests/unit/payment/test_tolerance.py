"""How old, or how far ahead of us, a signed event may be: to the second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.payment import webhooks

BODY, SECRET = b'{"id":"evt_1"}', "whsec_1"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def verified(signed: datetime) -> None:
    at = int(signed.timestamp())
    header = f"t={at},v1={webhooks.sign(BODY, SECRET, at)}"
    webhooks.verify(BODY, header, [SECRET], NOW)


@pytest.mark.parametrize("seconds", [-300, -299, 0, 299, 300])
def test_an_event_at_most_300_seconds_away_is_genuine(seconds: int) -> None:
    verified(NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize("seconds", [-86400, -301, 301, 86400])
def test_an_event_more_than_300_seconds_away_is_refused_as_old(seconds: int) -> None:
    with pytest.raises(webhooks.Refused) as caught:
        verified(NOW + timedelta(seconds=seconds))
    assert caught.value.reason == "old"
