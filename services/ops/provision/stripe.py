"""Stripe's keys, from the environment into payment's folder, after a look at them."""

from __future__ import annotations

from pathlib import Path

from services.chassis import environment
from services.ops.console import Refused, say
from services.ops.provision.secrets import write

KEY, SECRET, LIVE = "STRIPE_API_KEY", "STRIPE_WEBHOOK_SECRET", "STRIPE_LIVE"
ALLOWED = "allowed"
TEST_KEYS, LIVE_KEYS = ("sk_test_", "rk_test_"), ("sk_live_", "rk_live_")
SECRETS = "whsec_"


def provide(folder: Path) -> None:
    """Hand the keys to payment. Raises Refused for what is no key, or a live one unasked."""
    key, secrets = checked(
        key=environment.read(KEY), secrets=environment.read(SECRET), live=environment.read(LIVE)
    )
    write(folder / "stripe-api-key", key)
    # The sandbox goes on sending its own events, signed with its own secret.
    own = (folder / "webhook-secret").read_text().split(",")[-1]
    write(folder / "webhook-secret", ",".join((*secrets, own)))
    mode = "LIVE: real money moves" if key.startswith(LIVE_KEYS) else "test mode"
    say(f"payments that name stripe are refunded at Stripe, {mode}")


def checked(*, key: str, secrets: str, live: str) -> tuple[str, tuple[str, ...]]:
    """The key and the signing secrets. Raises Refused in one sentence that names the variable."""
    if not key:
        raise Refused(f"{KEY} is not set: put Stripe's secret key into .env")
    if not key.startswith(TEST_KEYS + LIVE_KEYS):
        raise Refused(f"{KEY} is no secret key of Stripe's: it begins with {TEST_KEYS[0]}")
    if key.startswith(LIVE_KEYS) and live != ALLOWED:
        raise Refused(f"{KEY} is a live key and moves real money: set {LIVE}={ALLOWED} to mean it")
    found = tuple(each.strip() for each in secrets.split(",") if each.strip())
    if not found:
        raise Refused(f"{SECRET} is not set: Stripe shows it beside the webhook's address")
    if not all(each.startswith(SECRETS) for each in found):
        raise Refused(f"{SECRET} is no signing secret of Stripe's: it begins with {SECRETS}")
    return key, found
