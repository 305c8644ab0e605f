"""`returns prove REFUND`: the chain from the request to the settlement, with hashes."""

from __future__ import annotations

import hashlib
import json as json_format
from typing import Annotated, Any

import httpx
import typer

from services.ops import console, running
from services.ops.console import Refused
from services.ops.returns import AsJson


@console.in_one_sentence
def prove(
    refund: Annotated[str, typer.Argument(help="A refund's id, or that of its return.")],
    json: AsJson = False,
) -> None:
    """Request, decision, release, key, processor's object, settlement: each with its hash."""
    with running.payment_client() as client:
        proofs = [_proof(client, each) for each in _refunds(client, refund)]
    for proof in proofs:
        proof["links"] = chained([*_before(proof["return_id"]), *proof["links"]])
    if json:
        console.print_json(proofs[0] if len(proofs) == 1 else proofs)
        return
    for proof in proofs:
        _show(proof)


def _refunds(client: httpx.Client, named: str) -> list[str]:
    """The refund itself, or all refunds of a return."""
    found = running.checked(client.get(f"/returns/{named}/refunds")).json()["refunds"]
    return found or [named]


def _proof(client: httpx.Client, refund: str) -> dict[str, Any]:
    answer = client.get(f"/refunds/{refund}/proof")
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise Refused(f"there is no refund {refund}, and no return with refunds of this id")
    found: dict[str, Any] = running.checked(answer).json()
    return found


def _before(return_id: str) -> list[dict[str, Any]]:
    """What led to the release, as the gateway shows it: the request's course and the decision."""
    with running.client() as client:
        answer = client.get(f"/returns/{return_id}")
    if not answer.is_success:
        return []
    seen = answer.json()
    steps: list[tuple[str, dict[str, Any]]] = [("request", {"timeline": seen.get("timeline", [])})]
    if seen.get("decision"):
        steps.append(("decision", seen["decision"]))
    return [
        {"step": name, "at": content.get("decided_at"), "content": content}
        for name, content in steps
    ]


def chained(links: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The links from the request to the settlement, each with a hash over it and all before it.

    Whoever keeps the last hash can show later that nothing was changed, left out or put between.
    """
    before, made = "", []
    for link in links:
        whole = {"step": link["step"], "content": link["content"], "before": before}
        text = json_format.dumps(whole, sort_keys=True)
        before = hashlib.sha256(text.encode()).hexdigest()
        made.append({**link, "sha256": before})
    return made


def _show(proof: dict[str, Any]) -> None:
    console.tell(
        (f"refund {proof['refund_id']}", "bold"),
        f" of return {proof['return_id']} (order {proof['order_id']}): {proof['state']}",
    )
    for link in proof["links"]:
        at = (link.get("at") or "")[:23]
        console.tell(f"{link['sha256'][:16]}  {at:23}  {link['step']:12} {_sentence(link)}")


def _sentence(link: dict[str, Any]) -> str:
    content = link["content"]
    match link["step"]:
        case "request":
            return " → ".join(str(step["status"]) for step in content["timeline"])
        case "decision":
            total = (content.get("refund") or {}).get("total")
            return (
                f"{content['decision']} ({content['legal_basis']}) over {total}"
                f" {content.get('currency')}, inputs {content['facts']['inputs_sha256'][:16]}"
            )
        case "state":
            return (
                f"{content['event']} → {content['state']}, key {content['idempotency_key']}"
                f" {content.get('processor_reference', '')}"
            )
        case "ledger":
            return (
                f"{content['book']} {content['holder']}: {content['source']} → {content['target']}"
                f" {content['amount']} {content['unit']}"
            )
    hidden = {"refund_id", "return_id", "order_id", "at"}
    return ", ".join(f"{name}={value}" for name, value in content.items() if name not in hidden)
