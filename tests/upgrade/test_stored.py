"""Documents as earlier versions stored them, read by today's."""

from __future__ import annotations

from services.fulfillment.messages import BuyLabel, ReserveStock
from services.fulfillment.model import Label, Replacement, ReplacementState

RETURN = {"return_id": "7b1d1f6e-5e57-4f0c-9a55-6dc4a0a5a001", "order_id": "order-1", "attempt": 2}
ADDRESS = {
    "name": "Acme", "line1": "1 Way", "city": "Reno", "postal_code": "89501", "country": "US",
}  # fmt: skip


def test_a_label_and_its_purchase_keep_the_reference_that_had_another_name() -> None:
    assert Label.model_validate({"label_id": "a:1"}).name == "a:1"
    wanted = BuyLabel.model_validate(
        {**RETURN, "label_id": "a:1", "recipient": ADDRESS, "currency": "USD"}
    )
    assert (wanted.name, wanted.attempt) == ("a:1", 2)
    assert "label_id" not in wanted.model_dump()


def test_a_replacement_that_was_reserved_on_release_is_one_still() -> None:
    kept = {"replacement_id": "r:1", "sku": "JACKET-L", "quantity": 1, "state": "held"}
    found = Replacement.model_validate(kept)
    assert (found.name, found.released, found.state) == ("r:1", True, ReplacementState.HELD)
    assert Replacement.model_validate_json(found.model_dump_json()) == found
    wanted = ReserveStock.model_validate({**RETURN, **kept, "expires_at": "2026-03-20T10:00:00Z"})
    assert wanted.name == "r:1"
