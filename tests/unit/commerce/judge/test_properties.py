"""What holds for every order and every sequence of returns; and that judging never raises."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.decisions import EscalationReason, ReturnDecisionMade
from contracts.money import allocate
from contracts.requests import Method
from contracts.reviews import ReviewDecided
from services.commerce import judgement
from services.commerce.judgement import Released
from services.commerce.quote import units
from tests.unit.commerce.judge.documents import (
    NOW,
    case,
    days,
    graded,
    inspected,
    judge,
    line,
    order,
    payment,
    plain,
    policy,
    refundability,
    refundable,
    request,
    returnability,
    text,
    wanted,
)

Json = dict[str, Any]
MODES = st.sampled_from(["none", "full_on_full_return", "prorata_value"])
PLACES = st.sampled_from(
    [
        ("US", "NV", "USD"),
        ("US", "CA", "USD"),
        ("DE", None, "EUR"),
        ("GB", None, "GBP"),
        ("BR", "SP", "BRL"),
        ("JP", None, "JPY"),
        ("KR", None, "KWD"),
        ("ZA", None, "XXX"),
    ]
)
REASONS = st.sampled_from(["changed_mind", "defective", "other", "wrong_item", "arrived_late"])
CONDITIONS = st.sampled_from([None, "unopened", "opened", "worn", "damaged", "melted"])


@st.composite
def orders(draw: st.DrawFn) -> Json:
    inclusive = draw(st.booleans())
    lines = []
    for number in range(draw(st.integers(1, 3))):
        quantity = draw(st.integers(1, 5))
        price = draw(st.integers(0, 5000))
        whole = quantity * price
        discount = draw(st.integers(0, whole))
        tax = draw(st.integers(0, whole - discount)) if inclusive else draw(st.integers(0, 2000))
        rate = draw(st.sampled_from([0, 700, 1900]))
        lines.append(
            line(
                price,
                str(number + 1),
                quantity,
                discount_total=discount,
                tax_total=tax,
                tax_rate_bps=rate,
            )
        )
    paid = draw(st.integers(0, 2000))
    way_out = {
        "paid": paid,
        "tax_total": draw(st.integers(0, paid if inclusive else 400)),
        "tax_rate_bps": 1900,
        "cheapest_offered": draw(st.integers(0, 2000)),
    }
    country, region, currency = draw(PLACES)
    made = order(
        *lines,
        country=country,
        region=region,
        currency=currency,
        include_tax=inclusive,
        shipping=way_out,
        delivered=NOW - days(draw(st.integers(0, 40))),
        informed=draw(st.booleans()),
        loyalty={
            "program_id": "l",
            "points_earned": draw(st.integers(0, 500)),
            "points_redeemed": draw(st.integers(0, 500)),
        },
    )
    total = made["payments"][0]["captured"]
    first = draw(st.integers(0, total))
    made["payments"] = [payment("a", first), payment("b", total - first)]
    return made


@st.composite
def policies(draw: st.DrawFn) -> Json:
    settings_ = {
        "outbound_shipping": draw(MODES),
        "restocking_fee_bps": draw(st.sampled_from([0, 0, 333, 1500, 10000])),
        "restocking_fee_tax": draw(st.sampled_from(["full", "proportional"])),
        "return_shipping": draw(st.sampled_from(["merchant", "customer"])),
        "return_shipping_fee": {"USD": 700, "EUR": 700},
        "loyalty": draw(st.sampled_from(["reverse", "cash_equivalent", "none"])),
        "point_value": {"USD": 3, "EUR": 3},
        "keep_item_up_to": draw(st.sampled_from([{}, {"USD": 1500, "EUR": 1500}])),
    }
    return policy(defaults=settings_, limits={"auto_approve_up_to": {}})


def in_random_order(bought: Json, seed: int) -> list[tuple[str, int]]:
    rest = {each["line_id"]: each["quantity"] for each in bought["lines"]}
    chance = random.Random(seed)
    steps = []
    while rest:
        line_id = chance.choice(sorted(rest))
        quantity = chance.randint(1, rest[line_id])
        steps.append((line_id, quantity))
        rest[line_id] -= quantity
        if not rest[line_id]:
            del rest[line_id]
    return steps


def all_of(bought: Json, steps: list[tuple[str, int]], **document: Any) -> list[ReturnDecisionMade]:
    earlier: list[ReturnDecisionMade] = []
    for number, (line_id, quantity) in enumerate(steps, start=100):
        asked = request(wanted(line_id, quantity), number=number)
        standing = [plain(each) for each in earlier]
        earlier.append(judge(order=bought, request=asked, earlier=standing, **document))
    return earlier


@given(orders(), MODES, st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_any_sequence_of_partial_returns_sums_to_what_was_paid(
    bought: Json, mode: str, seed: int
) -> None:
    plain_policy = policy(defaults={"outbound_shipping": mode}, limits={"auto_approve_up_to": {}})
    decisions = all_of(bought, in_random_order(bought, seed), policy=plain_policy)
    captured = {each["payment_id"]: each["captured"] for each in bought["payments"]}
    used = dict.fromkeys(captured, 0)
    for decision in decisions:
        assert decision.refund.total >= 0
        for allocation in decision.settlement.allocations:
            used[allocation.payment_id] += allocation.amount
    assert all(used[each] <= captured[each] for each in captured)
    assert sum(used.values()) == sum(each.refund.total for each in decisions)
    for each in bought["lines"]:
        mine = [
            part for made in decisions for part in made.lines if part.line_id == each["line_id"]
        ]
        price = each["quantity"] * each["unit_price"] - each["discount_total"]
        net = price - each["tax_total"] if bought["prices_include_tax"] else price
        assert sum(part.items for part in mine) == net
        assert sum(part.tax for part in mine) == each["tax_total"]
        ordinals = [unit for part in mine for unit in part.units]
        assert sorted(ordinals) == list(range(1, each["quantity"] + 1))
    whole = sum(each["captured"] for each in bought["payments"])
    refunded = sum(each.refund.total for each in decisions)
    shipping = bought["shipping"]
    if mode == "prorata_value" and not any(
        each.legal_basis == "statutory_withdrawal" for each in decisions
    ):
        assert refunded == whole
    extra = shipping["paid"] + (0 if bought["prices_include_tax"] else shipping["tax_total"])
    assert whole - extra <= refunded <= whole


@given(orders(), policies(), st.integers(0, 10**6))
@settings(max_examples=80, deadline=None)
def test_the_parts_of_an_approval_sum_to_it_exactly(bought: Json, terms: Json, seed: int) -> None:
    asked = request(*[wanted(each["line_id"], each["quantity"]) for each in bought["lines"]])
    facts = returnability(*[{"line_id": each["line_id"]} for each in bought["lines"]])
    judged = case({"order": bought, "request": asked, "policy": terms, "returnability": facts})
    standing = judgement.judge(judged, counterfactual=False)
    chance = random.Random(seed)
    rest = [(part.line_id, unit) for part in standing.lines for unit in part.units]
    chance.shuffle(rest)
    already: tuple[Released, ...] = ()
    while rest:
        count = chance.randint(1, len(rest))
        now, rest = rest[:count], rest[count:]
        chosen: dict[str, list[int]] = {}
        for line_id, unit in now:
            chosen.setdefault(str(line_id), []).append(unit)
        part = judgement.release(judged, standing, chosen, already=already)
        assert part.release.amount == part.refund.total >= 0
        assert sum(each.amount for each in part.allocations) == part.refund.total
        assert sum(leg.tax for leg in part.legs.tax) == part.refund.tax
        already = (*already, part)
    total = standing.refund
    for name in type(total).model_fields:
        assert sum(getattr(each.refund, name) for each in already) == getattr(total, name), name
    for name in ("points_to_reverse", "points_to_restore"):
        parts = sum(getattr(each.legs.loyalty, name) for each in already)
        assert parts == getattr(standing.loyalty, name)
    again = judgement.release(judged, standing, {"1": [1]}, already=already)
    assert again.release.amount == 0


@given(orders(), policies(), REASONS, CONDITIONS)
@settings(max_examples=80, deadline=None)
def test_the_breakdown_adds_up_and_lines_sum_to_it(
    bought: Json, terms: Json, why: str, condition: str | None
) -> None:
    asked = request(
        *[
            wanted(each["line_id"], each["quantity"], reason=why, condition=condition)
            for each in bought["lines"]
        ]
    )
    facts = returnability(*[{"line_id": each["line_id"]} for each in bought["lines"]])
    decision = judge(order=bought, request=asked, policy=terms, returnability=facts)
    refund = decision.refund
    given_ = refund.items + refund.tax + refund.shipping
    taken = refund.restocking_fee + refund.return_shipping_fee
    taken += refund.diminished_value + refund.loyalty_deduction
    assert refund.total == given_ - taken >= 0
    assert sum(part.items for part in decision.lines) == refund.items
    assert sum(part.restocking_fee for part in decision.lines) == refund.restocking_fee
    assert all(
        part.refund == part.items + part.tax - part.restocking_fee for part in decision.lines
    )
    if decision.legal_basis == "statutory_withdrawal":
        assert refund.restocking_fee == refund.loyalty_deduction == 0


@given(st.integers(0, 10**9), st.integers(1, 200))
def test_a_unit_has_the_price_that_allocate_gives_it(total: int, quantity: int) -> None:
    parts = allocate(total, [1] * quantity)
    for unit in (1, quantity, (quantity + 1) // 2):
        assert units.share(total, quantity, [unit]) == parts[unit - 1]
    assert units.share(total, quantity, range(1, quantity + 1)) == total


@given(st.integers(1, 300), st.sets(st.integers(-5, 310)), st.integers(0, 300), st.integers(0, 300))
def test_the_free_units_of_a_line_are_those_that_are_not_taken(
    quantity: int, taken: set[int], skipped: int, count: int
) -> None:
    wanted_ = [unit for unit in range(1, quantity + 1) if unit not in taken]
    free = units.free(quantity, taken)
    part = free[skipped : skipped + count]
    assert list(free) == wanted_ and list(part) == wanted_[skipped : skipped + count]
    assert len(part) == len(list(part))
    if part:
        assert part[-1] == list(part)[-1]
    for total in (0, 7, 10**6 + 1):
        assert units.share(total, quantity, part) == units.share(total, quantity, list(part))


ODD = st.sampled_from(
    [
        *("XXX", "", "unknown", "ZZ", "digital", "a" * 200),
        *("2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        *(None, 0, 1, -1, 10**15, True, [], {}),
    ]
)


def _mutated(value: Any, chance: random.Random, odd: list[Any]) -> Any:
    if isinstance(value, dict):
        changed = {key: _mutated(part, chance, odd) for key, part in value.items()}
        if changed and chance.random() < 0.02:
            changed.pop(chance.choice(sorted(changed)))
        return changed
    if isinstance(value, list):
        changed_list = [_mutated(part, chance, odd) for part in value]
        if changed_list and chance.random() < 0.03:
            changed_list.append(changed_list[0])
        return changed_list
    return chance.choice(odd) if chance.random() < 0.015 else value


@given(orders(), policies(), REASONS, CONDITIONS, st.lists(ODD, min_size=1), st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_judging_never_raises_on_any_document_that_can_be_read(
    bought: Json, terms: Json, why: str, condition: str | None, odd: list[Any], seed: int
) -> None:
    chance = random.Random(seed)
    asked = [
        wanted(each["line_id"], chance.randint(1, 9), reason=why, condition=condition)
        for each in bought["lines"]
    ]
    resolution = chance.choice(["refund", "store_credit", "replacement", "exchange", "odd"])
    document: Json = {
        "now": text(NOW),
        "order": bought,
        "request": request(*asked, resolution=resolution),
        "policy": terms,
        "returnability": returnability({"line_id": "1", "received_quantity": 0}),
        "refundability": refundability(refundable("a", 100), refundable("b", 100)),
    }
    if chance.random() < 0.5:
        document["inspection"] = inspected(
            graded(chance.choice(["as_new", "worn", "missing", "odd"]), defect_confirmed=False)
        )
    document = _mutated(document, chance, odd)
    try:
        judged = case(document)
    except Exception:
        return
    decision = judgement.judge(judged)
    ReturnDecisionMade.model_validate_json(decision.model_dump_json(exclude_none=True))
    _carry_on(judged, decision)


def _carry_on(judged: judgement.Case, decision: ReturnDecisionMade) -> None:
    everything = {part.line_id: part.units for part in decision.lines if part.line_id is not None}
    judgement.release(judged, decision, everything)
    judgement.without(judged, decision, everything)
    judgement.settle_by(judged, decision, Method.STORE_CREDIT)
    escalated = judgement.escalate(judged, decision, EscalationReason.SETTLEMENT_FAILED)
    for word in ("approve", "reject", "adjust"):
        review = ReviewDecided.model_validate(
            {
                "return_id": decision.return_id,
                "decision": word,
                "amount": 0 if word == "adjust" else None,
                "reason": "r",
                "reviewer": "bob",
                "decided_at": text(NOW),
            }
        )
        judgement.review(judged, escalated, review)
    assert judgement.customer_sentence(decision)
    assert judgement.reviewer_paragraph(escalated)


def test_amounts_beyond_belief_and_long_names_are_a_finding_and_a_person() -> None:
    way_out = {"paid": 10**15, "tax_total": 10**15, "cheapest_offered": 10**15}
    lines = [line(3 * 10**14, str(each), tax_total=10**15) for each in range(3)]
    huge = order(*lines, shipping=way_out, payments=[payment("a" * 190, 10**15)])
    decision = judge(
        order=huge,
        request=request(wanted("0", 2), wanted("1"), wanted("2")),
        refundability=refundability(refundable("a" * 190, 1)),
    )
    assert decision.decision == "escalated"
    ReturnDecisionMade.model_validate_json(decision.model_dump_json(exclude_none=True))
