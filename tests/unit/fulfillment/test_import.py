"""`returns warehouse import`: rows in, receipts out, each fault with its line."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.ops.warehouse import app, read_receipts
from tests.unit.fulfillment.examples import A, B

HEADER = "receipt_id,return_id,tracking_number,occurred_at,sku,quantity,carton_weight_grams\n"
AT = "2026-03-01T12:00:00Z"


def rows(*lines: str, header: str = HEADER) -> list[str]:
    return [header, *(line + "\n" for line in lines)]


def test_rows_of_one_receipt_become_one_event() -> None:
    good, errors = read_receipts(
        rows(f"R1,{A},,{AT},JACKET,2,900", f"R1,{A},,{AT},COAT,1,", f"R2,{B},,{AT},COAT,0,")
    )
    assert not errors
    assert [(line, receipt.event_id) for line, receipt in good] == [(2, "R1"), (4, "R2")]
    first = good[0][1]
    assert [(each.sku, each.quantity) for each in first.lines] == [("JACKET", 2), ("COAT", 1)]
    assert first.carton_weight_grams == 900


def test_a_receipt_without_a_number_is_known_by_its_parcel_and_time() -> None:
    header = HEADER.replace("receipt_id,", "")
    once, _ = read_receipts(rows(f"{A},,{AT},JACKET,2,", header=header))
    again, _ = read_receipts(rows(f"{A},,{AT},JACKET,2,", header=header))
    other, _ = read_receipts(rows(f"{B},,{AT},JACKET,2,", header=header))
    assert once[0][1].event_id == again[0][1].event_id != other[0][1].event_id


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"R9,{A},,{AT},JACKET,-1,", "quantity '-1' is no whole number"),
        (f"R9,{A},,{AT},JACKET,1.5,", "quantity '1.5' is no whole number"),
        (f"R9,{A},,{AT},JACKET,٣,", "is no whole number"),
        (f"R9,{A},,{AT},JACKET,9999999,", "quantity: "),
        (f"R9,{A},,{AT},,1,", "sku is empty"),
        (f"R9,{A},,yesterday,JACKET,1,", "occurred_at"),
        (f"R9,{A},,2026-03-01T12:00:00,JACKET,1,", "with an offset"),
        (f"R9,not-a-uuid,,{AT},JACKET,1,", "return_id"),
        (f"R9,,,{AT},JACKET,1,", "return_id or tracking_number is required"),
        (f"R9,{A},,{AT},JACKET,1,heavy", "carton_weight_grams 'heavy'"),
        (f"R9,{A},,{AT},JACKET,1,900,more", "more cells than the header"),
        (f"R1,{B},,{AT},JACKET,1,", "differs from line 2"),
    ],
)
def test_a_faulty_row_is_named_by_its_line_and_keeps_its_receipt_out(
    row: str, message: str
) -> None:
    good, errors = read_receipts(rows(f"R1,{A},,{AT},JACKET,1,", f"R2,{B},,{AT},JACKET,1,", row))
    assert errors[0].line == 4
    assert message in errors[0].message
    spoilt = row.split(",", 1)[0]
    assert [receipt.event_id for _, receipt in good] == [
        name for name in ("R1", "R2") if name != spoilt
    ]


def test_a_wrong_header_is_told_before_anything_is_read() -> None:
    good, errors = read_receipts(["sku,quantity,colour\n", "JACKET,1,red\n"])
    assert not good
    assert {error.message for error in errors} == {
        "the column occurred_at is missing",
        "the column return_id or tracking_number is missing",
        "the column 'colour' is not known",
    }


def test_empty_lines_are_no_rows_and_an_empty_file_is_no_csv() -> None:
    good, errors = read_receipts(rows(f"R1,{A},,{AT},JACKET,1,", ",,,,,,", ""))
    assert (len(good), errors) == (1, [])
    good, errors = read_receipts([])
    assert not good
    assert errors


class Gateway(BaseHTTPRequestHandler):
    bodies: list[dict[str, object]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        self.bodies.append(json.loads(self.rfile.read(length)))
        self.send_response(202)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def gateway() -> Iterator[str]:
    Gateway.bodies = []
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_command_sends_good_receipts_and_fails_for_the_others(
    gateway: str, tmp_path: Path
) -> None:
    file = tmp_path / "receipts.csv"
    file.write_text("".join(rows(f"R1,{A},,{AT},JACKET,1,", f"R2,{B},,{AT},JACKET,x,")))
    found = CliRunner().invoke(app, ["import", str(file), "--gateway", gateway])
    assert found.exit_code == 1
    assert f"{file}:3: quantity 'x'" in found.output
    assert [body["event_id"] for body in Gateway.bodies] == ["R1"]
    found = CliRunner().invoke(app, ["import", str(file), "--gateway", gateway, "--json"])
    assert json.loads(found.stdout)["imported"] == 1


def test_a_gateway_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "receipts.csv"
    file.write_text("".join(rows(f"R1,{A},,{AT},JACKET,1,")))
    found = CliRunner().invoke(app, ["import", str(file), "--gateway", "http://127.0.0.1:1"])
    assert found.exit_code == 1
    assert "does not answer" in found.output
    assert CliRunner().invoke(app, ["import", str(tmp_path / "none.csv")]).exit_code == 2
