"""The fine print on units and amounts: one test per rule."""

from __future__ import annotations

import pytest

from tests.unit.commerce.judge.documents import (
    NOW,
    days,
    defaults,
    german,
    graded,
    inspected,
    judge,
    line,
    money,
    order,
    payment,
    plain,
    policy,
    refundability,
    refundable,
    request,
    returnability,
    sequence,
    wanted,
)

PRORATA = {"policy": defaults(outbound_shipping="prorata_value")}
LABEL_FEE = {"return_shipping": "customer", "return_shipping_fee": {"USD": 500, "EUR": 500}}


def test_units_beyond_the_free_ones_are_a_second_entry_rejected_as_already_returned() -> None:
    decision = judge(order=order(line(1000, quantity=2)), request=request(wanted("1", 3)))
    assert [(each.quantity, each.verdict, each.units) for each in decision.lines] == [
        (2, "approved", (1, 2)),
        (1, "rejected", ()),
    ]
    assert decision.decision == "approved" and decision.refund.total == 2000


def test_tax_of_prorated_shipping_runs_by_share_with_exclusive_prices_too() -> None:
    bought = order(
        line(5000, "1"),
        line(3000, "2"),
        line(2000, "3"),
        shipping={"paid": 900, "tax_total": 101, "cheapest_offered": 900},
    )
    decisions = sequence(bought, ("2", 1), ("1", 1), ("3", 1), **PRORATA)
    assert [each.refund.tax for each in decisions] == [30, 51, 20]
    assert [each.refund.shipping for each in decisions] == [270, 450, 180]


def test_inclusive_shipping_prorates_gross_and_tax_each_by_the_running_share() -> None:
    bought = order(
        line(333, "1", quantity=3),
        include_tax=True,
        shipping={"paid": 100, "tax_total": 16, "cheapest_offered": 100},
    )
    decisions = sequence(bought, ("1", 1), ("1", 1), ("1", 1), **PRORATA)
    assert [each.refund.tax for each in decisions] == [5, 6, 5]
    assert [each.refund.shipping for each in decisions] == [28, 28, 28]


def test_resolution_store_credit_without_settlement_is_store_credit() -> None:
    bought = order(line(1000))
    assert judge(order=bought, request=request(resolution="store_credit")).settlement.method == (
        "store_credit"
    )
    chosen = request(settlement={"method": "store_credit"})
    assert judge(order=bought, request=chosen).settlement.method == "store_credit"
    back = request(resolution="store_credit", settlement={"method": "original_payment_method"})
    assert judge(order=bought, request=back).settlement.method == "original_payment_method"


@pytest.mark.parametrize(("can", "recommended"), [(0, 0), (400, 400)])
def test_payments_that_can_refund_less_than_the_total_ask_a_person(
    can: int, recommended: int
) -> None:
    decision = judge(
        order=order(line(1000)), refundability=refundability(refundable("p1", can, 1000))
    )
    assert decision.escalation.reason == "payment_not_refundable"
    assert decision.escalation.recommended_amount == recommended
    assert decision.refund.total == 1000


def test_a_rejected_decision_and_a_rejected_line_carry_zeros_and_no_units() -> None:
    bought = order(line(900, "1", traits=["perishable"]), line(500, "2"))
    decision = judge(order=bought, request=request(wanted("1")))
    assert decision.decision == "rejected"
    assert set(decision.refund.model_dump().values()) == {0}
    assert decision.lines[0].units == () and decision.lines[0].refund == 0
    mixed = judge(order=bought, request=request(wanted("1"), wanted("2")))
    assert mixed.decision == "approved" and mixed.refund.total == 500
    assert (mixed.lines[0].verdict, mixed.lines[0].items) == ("rejected", 0)


def test_tax_is_allocated_to_units_with_equal_weights() -> None:
    bought = order(line(100, quantity=3, tax_total=10, tax_rate_bps=333))
    decisions = sequence(bought, ("1", 1), ("1", 1), ("1", 1))
    assert [each.refund.tax for each in decisions] == [4, 3, 3]


def test_shipping_is_the_merchants_fault_only_if_every_line_is() -> None:
    bought = order(line(1000, "1"), line(500, "2"), shipping={"paid": 300, "cheapest_offered": 100})
    none = {"policy": defaults(outbound_shipping="none")}
    fault = [wanted("1", reason="defective"), wanted("2", reason="defective")]
    assert judge(order=bought, request=request(*fault), **none).refund.shipping == 300
    mixed = request(fault[0], wanted("2"))
    assert judge(order=bought, request=mixed, **none).refund.shipping == 0
    assert judge(order=bought, request=request(fault[0]), **none).refund.shipping == 0


def test_a_full_withdrawal_brings_the_cheapest_delivery_whatever_the_mode() -> None:
    bought = german(line(1000), shipping={"paid": 900, "cheapest_offered": 400})
    for mode in ("none", "full_on_full_return", "prorata_value"):
        decision = judge(order=bought, policy=defaults(outbound_shipping=mode))
        assert decision.refund.shipping == 400, mode


def test_a_withdrawal_from_a_part_follows_the_policys_mode() -> None:
    bought = german(
        line(3000, "1"), line(1000, "2"), shipping={"paid": 800, "cheapest_offered": 400}
    )
    amounts = {"none": 0, "full_on_full_return": 0, "prorata_value": 600}
    for mode, shipping in amounts.items():
        decision = judge(order=bought, policy=defaults(outbound_shipping=mode))
        assert decision.legal_basis == "statutory_withdrawal"
        assert decision.refund.shipping == shipping, mode


def test_withdrawing_from_everything_in_parts_ends_at_the_cheapest_delivery() -> None:
    bought = german(
        line(1000, "1"), line(1000, "2"), shipping={"paid": 800, "cheapest_offered": 500}
    )
    decisions = sequence(bought, ("1", 1), ("2", 1), **PRORATA)
    assert [each.refund.shipping for each in decisions] == [400, 100]


def test_a_law_that_names_delivery_refunds_all_of_it_whatever_the_mode() -> None:
    bought = order(
        line(1000),
        country="BR",
        region="SP",
        currency="BRL",
        delivered=NOW - days(3),
        shipping={"paid": 900, "cheapest_offered": 400},
    )
    decision = judge(order=bought, policy=defaults(outbound_shipping="none"))
    assert decision.legal_basis == "statutory_withdrawal"
    assert decision.refund.shipping == 900


@pytest.mark.parametrize(
    ("bought", "reason", "fee"),
    [
        (order(line(2000)), "changed_mind", 500),
        (order(line(2000)), "defective", 0),
        (german(line(2000)), "changed_mind", 500),
        (german(line(2000), informed=False), "changed_mind", 0),
        (german(line(2000)), "defective", 0),
        (order(line(2000), country="BR", region="SP", delivered=NOW - days(2)), "changed_mind", 0),
        (order(line(300)), "changed_mind", 300),
    ],
)
def test_the_way_back_is_never_charged_for_a_fault_nor_to_the_uninformed(
    bought: dict[str, object], reason: str, fee: int
) -> None:
    decision = judge(
        order=bought,
        request=request(wanted("1", reason=reason)),
        returnability=returnability({"line_id": "1"}),
        policy=defaults(**LABEL_FEE),
    )
    assert decision.refund.return_shipping_fee == fee
    assert decision.refund.total >= 0


def test_without_a_label_the_way_back_is_not_charged() -> None:
    charged = defaults(**LABEL_FEE)
    assert judge(order=order(line(2000)), policy=charged).refund.total == 2000
    no_label = returnability({"line_id": "1"}, label={"provided": False, "fee": 0})
    decision = judge(order=order(line(2000)), policy=charged, returnability=no_label)
    assert decision.refund.total == 2000


@pytest.mark.parametrize("resolution", ["replacement", "exchange"])
def test_goods_for_goods_refund_nothing_but_limits_look_at_the_lines_value(resolution: str) -> None:
    asked = request(resolution=resolution, replacement_sku="SKU-1")
    decision = judge(order=order(line(50000)), request=asked)
    assert decision.decision == "approved"
    assert set(decision.refund.model_dump().values()) == {0}
    assert decision.settlement.allocations == ()
    assert decision.replacement.unit_price == 50000
    over = judge(order=order(line(50001)), request=asked)
    assert over.escalation.reason == "amount_over_limit"
    keep = defaults(keep_item_up_to={"USD": 900})
    kept = judge(order=order(line(900)), request=asked, policy=keep)
    assert not kept.return_.required and kept.replacement.ship_on == "approval"
    sent = judge(order=order(line(901)), request=asked, policy=keep)
    assert sent.return_.required and sent.replacement.ship_on == "receipt"


LOYAL = {"program_id": "l", "points_earned": 100, "points_redeemed": 50, "redeemed_value": 0}


def test_points_follow_the_running_net_and_the_last_return_takes_the_remainder() -> None:
    bought = order(line(1000, quantity=3), loyalty=LOYAL)
    decisions = sequence(bought, ("1", 1), ("1", 1), ("1", 1))
    assert [each.loyalty.points_to_reverse for each in decisions] == [33, 33, 34]
    assert [each.loyalty.points_to_restore for each in decisions] == [16, 17, 17]


def test_net_refunded_for_points_is_items_less_the_restocking_fee() -> None:
    bought = order(line(1000), loyalty=LOYAL)
    decision = judge(order=bought, policy=defaults(restocking_fee_bps=2000))
    assert decision.loyalty.points_to_reverse == 80
    assert decision.loyalty.points_to_restore == 50


def test_loyalty_none_restores_nothing_either_and_cash_is_deducted_only_outside_withdrawals() -> (
    None
):
    none = judge(order=order(line(1000), loyalty=LOYAL), policy=defaults(loyalty="none"))
    assert none.loyalty.points_to_reverse == none.loyalty.points_to_restore == 0
    cash = defaults(loyalty="cash_equivalent", point_value={"USD": 2, "EUR": 2})
    paid = judge(order=order(line(1000), loyalty=LOYAL), policy=cash)
    assert paid.refund.loyalty_deduction == 200 and paid.refund.total == 800
    assert paid.loyalty.points_to_reverse == 0
    withdrawn = judge(order=german(line(1000), loyalty=LOYAL), policy=cash)
    assert withdrawn.refund.loyalty_deduction == 0
    assert withdrawn.loyalty.points_to_reverse == 100


def test_loyalty_is_a_setting_of_the_whole_return() -> None:
    rule = {
        "id": "b",
        "when": {"category": ["b"]},
        "set": {"loyalty": "cash_equivalent", "point_value": {"USD": 1}},
    }
    bought = order(line(1000, "1"), line(1000, "2", category="b"), loyalty=LOYAL)
    decision = judge(
        order=bought, request=request(wanted("1"), wanted("2")), policy=policy(rules=[rule])
    )
    assert decision.refund.loyalty_deduction == 100


def test_the_recommended_amount_is_the_total_unless_the_recommendation_is_reject() -> None:
    bought = order(line(9000), delivered=NOW - days(35))
    assert judge(order=bought).escalation.recommended_amount == 0
    asked = request(wanted("1", condition="worn"))
    decision = judge(order=order(line(9000)), request=asked)
    assert decision.escalation.recommended_amount == decision.refund.total == 9000


def test_shipping_is_subtracted_that_was_refunded_before() -> None:
    bought = order(
        line(1000, "1"), line(1000, "2"), shipping={"paid": 500, "cheapest_offered": 500}
    )
    first, second = sequence(bought, ("1", 1), ("2", 1))
    assert (first.refund.shipping, second.refund.shipping) == (0, 500)


def test_a_full_return_is_judged_with_escalated_decisions_but_not_with_rejected_ones() -> None:
    bought = order(
        line(1000, "1"), line(1000, "2"), shipping={"paid": 500, "cheapest_offered": 500}
    )
    first = plain(judge(order=bought, request=request(wanted("1", condition="worn"), number=7)))
    assert first["decision"] == "escalated"
    second = {"order": bought, "request": request(wanted("2"))}
    assert judge(**second, earlier=[first]).refund.shipping == 500
    rejected = first | {"decision": "rejected"}
    assert judge(**second, earlier=[rejected]).refund.shipping == 0


def test_tenders_are_used_last_captured_first_over_a_sequence_of_returns() -> None:
    bought = order(line(1000, quantity=4), payments=[payment("a", 2500), payment("b", 1500)])
    decisions = sequence(bought, *[("1", 1)] * 4)
    used = [[(a.payment_id, a.amount) for a in each.settlement.allocations] for each in decisions]
    assert used == [[("b", 1000)], [("b", 500), ("a", 500)], [("a", 1000)], [("a", 1000)]]


def test_after_an_inspection_the_whole_approval_stays_and_release_names_what_is_paid_now() -> None:
    bought = order(line(1000, quantity=3), shipping={"paid": 500, "cheapest_offered": 500})
    short = judge(
        order=bought,
        request=request(wanted("1", 3)),
        inspection=inspected(graded("as_new", quantity=2)),
    )
    assert short.refund.total == 3500 and short.lines[0].units == (1, 2, 3)
    assert short.release.amount == 2000 and short.release.lines[0].units == (1, 2)
    assert [(each.line_id, each.quantity) for each in short.return_.outstanding] == [("1", 1)]
    assert short.refund_on is None
    full = judge(
        order=bought,
        request=request(wanted("1", 3)),
        inspection=inspected(graded("as_new", quantity=3)),
    )
    assert full.release is None and full.return_.outstanding == () and full.refund_on is None


def test_amounts_sum_as_the_breakdown_says() -> None:
    bought = order(
        line(9999, quantity=3, tax_total=777, tax_rate_bps=777, category="e"),
        shipping={"paid": 501, "tax_total": 33, "cheapest_offered": 501},
    )
    decision = judge(
        order=bought,
        request=request(wanted("1", 3)),
        returnability=returnability({"line_id": "1", "restocking_fee_bps": 1250}),
        policy=defaults(**LABEL_FEE),
    )
    parts = money(decision)
    assert parts["restocking_fee"] == 3750
    assert decision.refund.total == 29997 + 680 + 33 + 501 - 3750 - 500
