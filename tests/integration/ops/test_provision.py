"""Provisioning: rights are the table of topics; secrets stay apart; a live key needs a yes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.topics import TOPICS
from services.chassis.keys import SCOPES, digest
from services.ops.console import Refused
from services.ops.provision import access, secrets, stripe
from services.ops.stack import SERVICES, WITH_A_STORE


def test_who_may_write_a_topic_is_who_writes_it_in_the_table() -> None:
    given = access.rights()
    for topic in TOPICS:
        may_write = {
            right.principal
            for right in given
            if (right.resource, right.name, right.operation) == ("topic", topic.name, "WRITE")
        }
        ours = may_write - set(access.OTHERS)
        assert ours == set(topic.writers) - {"chat"}
        outside = may_write & set(access.OTHERS)
        assert bool(outside) == topic.open, topic.name


def test_who_may_read_a_topic_is_who_reads_it_in_the_table() -> None:
    given = access.rights()
    for topic in TOPICS:
        may_read = {
            right.principal
            for right in given
            if (right.resource, right.name, right.operation) == ("topic", topic.name, "READ")
        }
        expected = set(topic.readers) - {"chat"} | {access.OPERATOR}
        if topic.name == access.FOLLOWS:
            expected.add(access.FRONTEND)
        assert may_read == expected


def test_a_service_has_its_own_group_and_no_other() -> None:
    for service in access.SERVICES:
        groups = {
            (right.name, right.prefixed)
            for right in access.rights("test.")
            if right.principal == service and right.resource == "group"
        }
        assert groups == {(f"test.{service}", False)}


def test_the_operator_writes_nothing() -> None:
    assert not [
        right
        for right in access.rights()
        if right.principal == access.OPERATOR and right.operation == "WRITE"
    ]


def test_a_service_is_given_its_own_secrets_and_no_others(tmp_path: Path) -> None:
    secrets.provide(tmp_path)
    held = {
        service: {file.read_text() for file in (tmp_path / service).iterdir()}
        for service in SERVICES
    }
    vault = {file.name: file.read_text() for file in (tmp_path / "operator").iterdir()}
    for service in WITH_A_STORE:
        for other in WITH_A_STORE:
            mine = vault[f"{other}-database-url"], vault[f"{other}-kafka-password"]
            assert (service == other) == bool(held[service] & set(mine))
        assert not any(vault[f"{service}-owner-password"] in text for text in held[service])
        assert not any(vault["postgres-password"] in text for text in held[service])


def test_keys_are_kept_as_digests_and_hold_every_scope(tmp_path: Path) -> None:
    secrets.provide(tmp_path)
    key = (tmp_path / "operator" / "api-key").read_text()
    known = json.loads((tmp_path / "gateway" / "api-keys.json").read_text())
    assert set(known[digest(key)]["scopes"]) == SCOPES
    assert key not in (tmp_path / "gateway" / "api-keys.json").read_text()


def test_a_second_run_keeps_everything_but_what_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.provide(tmp_path)
    before = {file: file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    secrets.provide(tmp_path)
    assert before == {file: file.read_text() for file in tmp_path.rglob("*") if file.is_file()}
    monkeypatch.setenv("RENEW", "commerce-database-password")
    secrets.provide(tmp_path)
    changed = {
        str(file.relative_to(tmp_path)) for file, text in before.items() if file.read_text() != text
    }
    assert changed == {
        "operator/commerce-database-password",
        "operator/commerce-database-url",
        "commerce/database-url",
    }
    monkeypatch.setenv("RENEW", "nothing-we-know")
    with pytest.raises(Refused, match="nothing-we-know"):
        secrets.provide(tmp_path)


@pytest.mark.parametrize(
    ("key", "signing", "live", "named"),
    [
        ("", "whsec_1", "", "STRIPE_API_KEY is not set"),
        ("pk_test_1", "whsec_1", "", "STRIPE_API_KEY is no secret key"),
        ("sk_live_1", "whsec_1", "", "STRIPE_API_KEY is a live key"),
        ("rk_live_1", "whsec_1", "yes", "STRIPE_API_KEY is a live key"),
        ("sk_test_1", "", "", "STRIPE_WEBHOOK_SECRET is not set"),
        ("sk_test_1", "secret", "", "STRIPE_WEBHOOK_SECRET is no signing secret"),
    ],
)
def test_stripes_keys_are_looked_at_before_they_are_handed_on(
    key: str, signing: str, live: str, named: str
) -> None:
    with pytest.raises(Refused, match=f"^{named}"):
        stripe.checked(key=key, secrets=signing, live=live)


def test_a_live_key_is_taken_when_it_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets.provide(tmp_path)
    own = (tmp_path / "payment" / "webhook-secret").read_text()
    monkeypatch.setenv("STRIPE_API_KEY", "sk_live_1")
    monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_new,whsec_old")
    monkeypatch.setenv("STRIPE_LIVE", "allowed")
    for _ in range(2):
        stripe.provide(tmp_path / "payment")
        assert (tmp_path / "payment" / "stripe-api-key").read_text() == "sk_live_1"
        found = (tmp_path / "payment" / "webhook-secret").read_text()
        assert found == f"whsec_new,whsec_old,{own}"
    # Without the profile the next start takes them away again.
    secrets.provide(tmp_path)
    assert (tmp_path / "payment" / "stripe-api-key").read_text() == ""
    assert (tmp_path / "payment" / "webhook-secret").read_text() == own
