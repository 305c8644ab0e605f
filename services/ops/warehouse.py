"""`returns warehouse import FILE`: receipts of a warehouse that has no API, as CSV.

One row is one SKU of one receipt. A receipt is imported once, under its `receipt_id` (or else its
parcel and time), however often the file is: a row added later to a receipt that was imported
needs a receipt of its own. Rows in error keep their whole receipt out, so that nothing is counted
in halves.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic import ValidationError

from contracts.base import write
from contracts.warehouse import ItemReceived
from services.chassis import environment, ids
from services.chassis.settings import Settings

OK, FAILED, WRONG_USE = 0, 1, 2
CALL_SECONDS_MAX = 20.0
ROWS_MAX = 100_000
REQUIRED = ("occurred_at", "sku", "quantity")
COLUMNS = (
    *REQUIRED, "receipt_id", "return_id", "tracking_number", "order_id", "carton_weight_grams",
)  # fmt: skip

app = typer.Typer(
    help="What warehouses without an API have to tell.", no_args_is_help=True, add_completion=False
)


@app.callback()
def warehouse() -> None:
    """What warehouses without an API have to tell."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowError:
    """`line` counts from 1, the header being line 1."""

    line: int
    message: str


@dataclass(kw_only=True)
class Receipt:
    """The rows of one receipt, and the lines of the file that they stand on."""

    body: dict[str, Any]
    lines: list[int] = field(default_factory=list)


def read_receipts(rows: Iterable[str]) -> tuple[list[tuple[int, ItemReceived]], list[RowError]]:
    """(first line, receipt) of every receipt without a fault, and what is wrong with the others."""
    reader = csv.DictReader(rows, restkey="", strict=True)
    errors: list[RowError] = []
    receipts: dict[str, Receipt] = {}
    spoilt: set[str] = set()
    try:
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        errors += _wrong_header(header)
        if errors:
            return [], errors
        for number, row in enumerate(reader):
            if number >= ROWS_MAX:
                errors.append(RowError(line=reader.line_num, message=f"more than {ROWS_MAX} rows"))
                return [], errors
            _take(row, reader.line_num, receipts, spoilt, errors)
    except csv.Error as error:
        errors.append(RowError(line=reader.line_num, message=f"is no CSV: {error}"))
        return [], errors
    return _whole(receipts, spoilt, errors), errors


def _wrong_header(header: list[str]) -> list[RowError]:
    missing = [name for name in REQUIRED if name not in header]
    if not {"return_id", "tracking_number"} & set(header):
        missing.append("return_id or tracking_number")
    unknown = [name for name in header if name not in COLUMNS]
    found = [f"the column {name} is missing" for name in missing]
    found += [f"the column {name!r} is not known" for name in unknown]
    return [RowError(line=1, message=message) for message in found]


def _take(
    row: dict[str, Any],
    line: int,
    receipts: dict[str, Receipt],
    spoilt: set[str],
    errors: list[RowError],
) -> None:
    given = {name: (value or "").strip() for name, value in row.items() if name}
    if not any(given.values()) and "" not in row:
        return
    own = {name: given[name] for name in COLUMNS if given.get(name)}
    key = own.get("receipt_id") or ids.derived(
        "receipt", own.get("return_id", ""), own.get("tracking_number", ""),
        own.get("occurred_at", ""),
    )  # fmt: skip
    faults = ["has more cells than the header"] if "" in row else []
    faults += [f"{name} is empty" for name in REQUIRED if name not in own]
    quantity = _whole_number(own, "quantity", faults)
    weight = _whole_number(own, "carton_weight_grams", faults)
    head = {name: own.get(name) for name in
            ("return_id", "tracking_number", "order_id", "occurred_at")}  # fmt: skip
    body: dict[str, Any] = {"event_id": key, **head, "lines": []}
    receipt = receipts.setdefault(key, Receipt(body=body))
    if any(receipt.body[name] != value for name, value in head.items()):
        faults.append(f"differs from line {receipt.lines[0]}, which is of the same receipt")
    receipt.lines.append(line)
    receipt.body["lines"].append({"sku": own.get("sku"), "quantity": quantity})
    if weight is not None:
        receipt.body["carton_weight_grams"] = weight
    if faults:
        spoilt.add(key)
        errors += [RowError(line=line, message=fault) for fault in faults]


def _whole_number(own: dict[str, str], name: str, faults: list[str]) -> int | None:
    text = own.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        faults.append(f"{name} {text[:40]!r} is no whole number from 0")
        return None
    return int(text)


def _whole(
    receipts: dict[str, Receipt], spoilt: set[str], errors: list[RowError]
) -> list[tuple[int, ItemReceived]]:
    good = []
    for key, receipt in receipts.items():
        if key in spoilt:
            continue
        try:
            message = ItemReceived.model_validate_json(json.dumps(receipt.body))
        except ValidationError as error:
            for each in error.errors(include_url=False, include_context=False):
                errors.append(_fault(receipt, each["loc"], str(each["msg"])))
            continue
        good.append((receipt.lines[0], message))
    return good


def _fault(receipt: Receipt, where: tuple[int | str, ...], message: str) -> RowError:
    of_row = len(where) > 2 and where[0] == "lines" and isinstance(where[1], int)
    line = receipt.lines[where[1]] if of_row else receipt.lines[0]  # type: ignore[index]
    name = str(where[-1]) if where else ""
    return RowError(line=line, message=f"{name}: {message}" if name else message)


@app.command("import")
def import_receipts(
    file: Annotated[Path, typer.Argument(help=f"CSV with the columns {', '.join(COLUMNS)}.")],
    gateway: Annotated[str, typer.Option(help="The gateway's address; default GATEWAY_URL.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Import counted parcels. Importing the same file again changes nothing."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as rows:
            receipts, errors = read_receipts(rows)
    except (OSError, UnicodeDecodeError) as error:
        typer.echo(f"{file}: cannot be read: {error}", err=True)
        raise typer.Exit(WRONG_USE) from None
    imported = _send(gateway or Settings().gateway_url, receipts, errors)
    errors.sort(key=lambda wrong: wrong.line)
    if as_json:
        told = [{"line": wrong.line, "message": wrong.message} for wrong in errors]
        typer.echo(json.dumps({"imported": imported, "errors": told}))
    else:
        for wrong in errors:
            typer.echo(f"{file}:{wrong.line}: {wrong.message}", err=True)
        typer.echo(f"{imported} receipts imported, {len(errors)} errors")
    raise typer.Exit(FAILED if errors else OK)


def _send(gateway: str, receipts: list[tuple[int, ItemReceived]], errors: list[RowError]) -> int:
    """How many receipts the gateway has taken; it deduplicates by event id."""
    key = environment.read("RETURNS_API_KEY")
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    imported = 0
    with httpx.Client(base_url=gateway, timeout=CALL_SECONDS_MAX, headers=headers) as client:
        for line, receipt in receipts:
            try:
                answer = client.post("/warehouse/receipts", content=write(receipt))
            except httpx.HTTPError as error:
                reason = f"{gateway} does not answer ({type(error).__name__}); import again later"
                errors.append(RowError(line=line, message=reason))
                return imported
            if answer.is_success:
                imported += 1
            else:
                errors.append(RowError(line=line, message=f"refused: {answer.text[:300]}"))
    return imported
