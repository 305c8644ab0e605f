"""`returns reconcile`: our ledger against the processors' lists, every difference named."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from services.ops import console, running
from services.ops.returns import AsJson

COLUMNS = ("kind", "processor", "refund_id", "reversal_id", "reference", "ours", "theirs", "action")


@console.in_one_sentence
def reconcile(
    since: Annotated[
        datetime | None, typer.Option(help="How far back; the last two days unless given (UTC).")
    ] = None,
    json: AsJson = False,
) -> None:
    """Compare our books with the processors'; ends with 1 when something differs."""
    query = {} if since is None else {"since": f"{since:%Y-%m-%dT%H:%M:%S}+00:00"}
    with running.payment_client() as client:
        report = running.checked(client.get("/reconciliation", params=query)).json()
    if json:
        console.print_json(report)
    else:
        _show(report)
    if report["differences"]:
        raise typer.Exit(console.FAILED)


def _show(report: dict[str, Any]) -> None:
    compared, unrelated = report["compared"], report["unrelated"]
    console.out.print(
        f"{compared} refunds compared from {report['since'][:19]} to {report['until'][:19]} UTC;"
        f" {unrelated} at the processors belong to no order of ours"
    )
    if not report["differences"]:
        console.out.print("the books agree")
        return
    table = Table(*COLUMNS, box=None)
    for each in report["differences"]:
        table.add_row(*(str(each.get(name) or "") for name in COLUMNS))
    console.out.print(table)
