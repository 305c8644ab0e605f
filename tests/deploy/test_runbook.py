"""The runbook's statements run on real stores, and its second role has the rights of the first."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.conftest import NewStore
from tests.stores import Stores

RUNBOOK = (Path(__file__).resolve().parents[2] / "deploy" / "RUNBOOK.md").read_text()
STATEMENTS = re.findall(r'psql \$([A-Z]+)_DATABASE_URL -c "([^"]+)"', RUNBOOK)


@pytest.mark.parametrize(("service", "statement"), STATEMENTS)
def test_every_statement_runs_with_the_services_own_rights(
    new_store: NewStore, service: str, statement: str
) -> None:
    with psycopg.connect(new_store(service.lower()).runtime_url) as connection:
        connection.execute(statement.encode())


def test_a_second_role_takes_over_with_the_rights_of_the_first_and_no_more(
    new_store: NewStore, stores: Stores
) -> None:
    store, name = new_store("payment"), f"payment_{uuid4().hex[:8]}"
    made = re.search(r'-c "(CREATE ROLE payment_b [^"]+)"', RUNBOOK)
    assert made is not None
    role = sql.SQL(made[1].replace("payment_b", name))  # type: ignore[arg-type]
    stores.server.execute(role)
    url = store.runtime_url.replace("//payment@", f"//{name}@")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT count(*) FROM ledger")
        connection.execute("INSERT INTO inbox VALUES (gen_random_uuid(), now())")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM ledger")
    # The old one loses its login, not its rights: the new one lives on them.
    stores.server.execute(sql.SQL("ALTER ROLE payment NOLOGIN"))
    try:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT count(*) FROM order_money")
    finally:
        stores.server.execute(sql.SQL("ALTER ROLE payment LOGIN"))
        stores.drop(store)
        stores.server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
