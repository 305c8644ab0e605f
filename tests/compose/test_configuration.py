"""A service that is told something wrong ends, with one sentence that names the variable."""

from __future__ import annotations

import subprocess

import pytest

from tests.compose.deployment import Deployment

WRONG = [
    ("commerce", "COMMERCE_DATABASE_URL_FILE=", "COMMERCE_DATABASE_URL"),
    ("commerce", "COMMERCE_DATABASE_URL_FILE=/nowhere", "COMMERCE_DATABASE_URL_FILE"),
    ("payment", "PAYMENT_DATABASE_URL=postgresql://payment:guessed@postgres:5432/payment",
     "PAYMENT_DATABASE_URL"),
    ("payment", "PAYMENT_DATABASE_URL=postgresql://payment@postgres:5432/commerce",
     "PAYMENT_DATABASE_URL"),
    ("fulfillment", "KAFKA_BOOTSTRAP_SERVERS=", "KAFKA_BOOTSTRAP_SERVERS"),
    ("fulfillment", "KAFKA_BOOTSTRAP_SERVERS=kafka", "KAFKA_BOOTSTRAP_SERVERS"),
    ("fulfillment", "KAFKA_SECURITY_PROTOCOL=NONE", "KAFKA_SECURITY_PROTOCOL"),
    ("gateway", "KAFKA_SASL_USERNAME=", "KAFKA_SASL_USERNAME"),
    ("gateway", "KAFKA_SASL_PASSWORD_FILE=", "KAFKA_SASL_PASSWORD"),
    ("gateway", "KAFKA_SASL_PASSWORD=guessed", "KAFKA_SASL_PASSWORD"),
    ("gateway", "RETURNS_API_KEYS_FILE=/nowhere", "RETURNS_API_KEYS_FILE"),
    ("gateway", "GATEWAY_PORT=many", "GATEWAY_PORT"),
    ("commerce", "POLICY_PATH=/nowhere.yaml", "POLICY_PATH"),
    ("fulfillment", "CARRIER=pigeon", "CARRIER"),
    ("sandbox", "SANDBOX_PORT=many", "SANDBOX_PORT"),
    ("sandbox", "STRIPE_WEBHOOK_SECRET_FILE=/nowhere", "STRIPE_WEBHOOK_SECRET_FILE"),
]  # fmt: skip
SENTENCE_SECONDS_MAX = 60


def told(deployment: Deployment, service: str, setting: str) -> subprocess.CompletedProcess[str]:
    return deployment.compose(
        *("run", "--rm", "-T", "--no-deps", "--env", setting, service),
        check=False,
        seconds=SENTENCE_SECONDS_MAX,
    )


@pytest.mark.parametrize(("service", "setting", "named"), WRONG, ids=lambda value: str(value))
def test_a_wrong_setting_ends_the_service_with_one_sentence(
    deployment: Deployment, service: str, setting: str, named: str
) -> None:
    done = told(deployment, service, setting)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert named in last.partition(" is ")[0].partition(": ")[0], done.stderr


def test_a_live_key_is_refused_unless_it_is_meant(deployment: Deployment) -> None:
    done = deployment.compose(
        *("--profile", "stripe", "run", "--rm", "-T", "--no-deps"),
        *("--env", "STRIPE_API_KEY=sk_live_1", "--env", "STRIPE_WEBHOOK_SECRET=whsec_1", "stripe"),
        check=False,
    )
    assert done.returncode == 1
    assert "STRIPE_LIVE=allowed" in done.stderr
