"""Every attack on every HTTP call: a clear answer, and the next caller is served as ever."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.chassis.http import PROBLEM
from services.gateway.api import examples
from tests.hostile.corpus import Case, cases
from tests.hostile.faces import Face

FACES = ("gateway", "payment", "commerce", "fulfillment", "sandbox")
HUNG_UP = (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError)
SEEDS: dict[str, list[tuple[str, str, dict[str, Any]]]] = {
    "gateway": [("POST", "/returns", examples.REQUEST)],
    "sandbox": [
        ("POST", "/sandbox/payments", {"reference": "pi_h", "amount": 100, "currency": "USD"})
    ],
}
"""What has to be there already, so that an attack gets as far as it can."""


@pytest.mark.parametrize("face", FACES, indirect=True)
def test_a_request_is_answered_clearly_and_the_next_caller_is_served(face: Face) -> None:
    with face.client() as client:
        for method, path, body in SEEDS.get(face.name, []):
            client.request(method, path, json=body).raise_for_status()
        wrong = [
            f"{case.name}: {complaint}"
            for case in cases(f"http/{face.name}")
            for complaint in complaints(client, case)
        ]
    assert not wrong, "\n".join(wrong)


def test_the_corpus_attacks_every_face() -> None:
    assert all(case.attacks for case in cases("http"))
    assert {case.name.split("/")[1] for case in cases("http")} == set(FACES)


def complaints(client: httpx.Client, case: Case) -> list[str]:
    """What is wrong with the answer to a case, and with the next one; nothing is best."""
    method, path = case.call
    found: list[str] = []
    try:
        answer = client.request(
            method, path, content=case.body(), headers=[(n.encode(), v) for n, v in case.headers]
        )
    except HUNG_UP as error:
        if "closed" not in case.expected.how:
            found.append(f"hung up: {error}")
    else:
        found += judged(case, answer)
    alive = client.get("/healthz")
    if alive.status_code != 200:
        found.append(f"afterwards: {alive.status_code}")
    return found


def judged(case: Case, answer: httpx.Response) -> list[str]:
    status = answer.status_code
    if str(status) not in case.expected.how:
        return [f"{status} {answer.text[:200]}"]
    if status < 400:
        return []
    if case.name.startswith("http/sandbox/stripe/"):  # Stripe has errors of its own
        error = answer.json()["error"] if status != 413 else {}
        return [] if case.expected.what in str(error) else [f"does not name it: {error}"]
    body = answer.json()
    if answer.headers["content-type"] != PROBLEM or body["status"] != status:
        return [f"no problem+json: {answer.text[:200]}"]
    fields = [each["field"] for each in body.get("errors", [])]
    if status == 422 and not fields:
        return [f"422 names no field: {body}"]
    if status == 422 and case.expected.what and case.expected.what not in fields:
        return [f"names {fields}"]
    return []
