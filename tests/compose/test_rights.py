"""A service can do what is its own, and nothing else: on the broker and in PostgreSQL."""

from __future__ import annotations

import json

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from contracts.topics import TOPICS
from services.ops.provision import access
from services.ops.stack import WITH_A_STORE
from tests.compose.deployment import Deployment

MAY_WRITE = {
    (right.principal, right.name) for right in access.rights() if right.operation == "WRITE"
}
MAY_READ = {
    (right.principal, right.name)
    for right in access.rights()
    if (right.resource, right.operation) == ("topic", "READ")
}
TRY_OTHER_STORES = """
import json, os, psycopg
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
names = {names}
urls = {{name: Path(f"/run/secrets/{{name}}-database-url").read_text() for name in names}}
found = {{}}
for own, url in urls.items():
    for other in (*names, "postgres"):
        try:
            with psycopg.connect(urlunsplit(urlsplit(url)._replace(path="/" + other))) as store:
                store.execute("SELECT 1")
                found[f"{{own}} in {{other}}"] = "let in"
        except psycopg.OperationalError as error:
            denied = "permission denied for database" in str(error)
            found[f"{{own}} in {{other}}"] = "denied" if denied else str(error)
print(json.dumps(found))
"""
TRY_TO_CHANGE_MONEY = """
import json, psycopg
from pathlib import Path
tables = {tables}
found = []
with psycopg.connect(
    Path("/run/secrets/payment-database-url").read_text(), autocommit=True
) as store:
    for table in tables:
        for right in ("UPDATE", "DELETE", "TRUNCATE"):
            if store.execute("SELECT has_table_privilege(%s, %s)", (table, right)).fetchone()[0]:
                found.append(f"{{right}} {{table}}")
        try:
            store.execute(f"DELETE FROM {{table}}")
            found.append(f"{{table}} is empty now")
        except psycopg.errors.InsufficientPrivilege:
            pass
print(json.dumps(found))
"""
MONEY = ("payments", "ledger", "refund_intents", "refund_moves", "submissions", "credit_notes",
         "store_credits", "store_credit_debits")  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("principal", access.PRINCIPALS)
async def test_a_principal_cannot_write_a_topic_that_is_not_its_own(
    deployment: Deployment, principal: str
) -> None:
    forbidden = [topic.name for topic in TOPICS if (principal, topic.name) not in MAY_WRITE]
    assert forbidden
    producer = AIOKafkaProducer(**deployment.login(principal))
    await producer.start()
    try:
        for name in forbidden:
            with pytest.raises(TopicAuthorizationFailedError):
                await producer.send_and_wait(name, b"{}", key=b"forged")
    finally:
        await producer.stop()


@pytest.mark.asyncio
@pytest.mark.parametrize("principal", access.PRINCIPALS)
async def test_a_principal_reads_its_topics_and_sees_no_others(
    deployment: Deployment, principal: str
) -> None:
    reads = {name for who, name in MAY_READ if who == principal}
    writes = {name for who, name in MAY_WRITE if who == principal}
    consumer = AIOKafkaConsumer(**deployment.login(principal), enable_auto_commit=False)
    await consumer.start()
    try:
        assert await consumer.topics() == reads | writes
        for name in reads | writes:
            consumer.assign([TopicPartition(name, 0)])
            if name in reads:
                await consumer.getmany(timeout_ms=200)
            else:
                with pytest.raises(TopicAuthorizationFailedError):
                    await consumer.getmany(timeout_ms=10_000)
    finally:
        await consumer.stop()


@pytest.mark.asyncio
async def test_nobody_gets_in_with_a_wrong_password(deployment: Deployment) -> None:
    wrong = deployment.login("payment") | {"sasl_plain_password": "guessed"}
    producer = AIOKafkaProducer(**wrong)
    with pytest.raises(KafkaError):
        await producer.start()
    await producer.stop()


def test_a_role_cannot_even_connect_to_another_services_store(deployment: Deployment) -> None:
    found = deployment.python(TRY_OTHER_STORES.format(names=json.dumps(WITH_A_STORE)))
    expected = {
        f"{own} in {other}": "let in" if own == other else "denied"
        for own in WITH_A_STORE
        for other in WITH_A_STORE
    }
    assert {name: end for name, end in found.items() if "postgres" not in name} == expected


def test_payments_role_cannot_change_or_take_away_what_was_booked(deployment: Deployment) -> None:
    assert deployment.python(TRY_TO_CHANGE_MONEY.format(tables=json.dumps(MONEY))) == []
