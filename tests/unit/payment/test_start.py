"""Payment does not start where anybody could forge the processor's events."""

from __future__ import annotations

from typing import Any

import pytest

from services.chassis.settings import Settings
from services.payment.app import build

NO_POOL: Any = None


def test_a_key_of_stripe_without_a_webhook_secret_is_refused_in_one_sentence(
    settings: Settings,
) -> None:
    keyed = settings.model_copy(update={"stripe_api_key": "sk_live_1"})
    with pytest.raises(SystemExit, match=r"^STRIPE_WEBHOOK_SECRET is not set: [^\n]+$"):
        build(keyed, NO_POOL)


@pytest.mark.parametrize(
    "also",
    [
        {"stripe_webhook_secret": "whsec_of_the_merchant"},
        {"stripe_api_base": "http://127.0.0.1:8090"},
    ],
    ids=["with a secret", "at a stand-in"],
)
def test_with_a_secret_or_at_a_stand_in_it_starts(settings: Settings, also: dict[str, str]) -> None:
    keyed = settings.model_copy(update={"stripe_api_key": "sk_test_1", **also})
    assert build(keyed, NO_POOL).processors.stripe is not None
