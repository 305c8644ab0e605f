"""Warnings about a policy that loads: rules that never matter, rules that contradict, gaps, and
where the law will overrule it. A warning never refuses a policy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from contracts.decisions import RefundOn
from contracts.orders import Trait
from contracts.requests import Resolution
from services.commerce.law.protection import conformity_in
from services.commerce.law.provisions import ROWS
from services.commerce.policy import floor
from services.commerce.policy.model import (
    LoyaltyMode,
    Match,
    OutboundShipping,
    Payer,
    Policy,
    Rule,
    Settings,
    WindowAnchor,
)

EUROPE = ROWS["EU-WD-GOODS"]


@dataclass(frozen=True, slots=True)
class Warning:
    """`kind`: unreachable, shadowed, contradictory, gap or law; `path` is where it stands."""

    kind: str
    path: tuple[str | int, ...]
    message: str


def warnings(policy: Policy) -> list[Warning]:
    """Everything that deserves a second look, rule by rule, then the whole."""
    return [
        *_unreachable(policy),
        *_shadowed(policy),
        *_contradictory(policy),
        *_gaps(policy),
        *_overruled(policy),
        *_faults_in_short_windows(policy),
    ]


def _unreachable(policy: Policy) -> Iterator[Warning]:
    for position, rule in enumerate(policy.rules):
        why = _never(rule)
        if why is not None:
            yield Warning(
                "unreachable",
                ("rules", position),
                f"rule `{rule.id}` can never apply: {why}; mend or remove it",
            )
        elif not rule.set.named():
            yield Warning(
                "unreachable",
                ("rules", position),
                f"rule `{rule.id}` sets nothing; give it a setting or remove it",
            )


def _never(rule: Rule) -> str | None:
    for key in rule.when.given:
        if not getattr(rule.when, key):
            return f"`{key}` is an empty list"
    countries = rule.when.country
    if countries is not None and rule.when.region is not None:
        inside = [each for each in rule.when.region if each.partition("-")[0] in countries]
        if not inside:
            return "no region of it lies in its countries"
    if rule.unless is not None and _covers(rule.unless, rule.when):
        return "its `unless` takes out all that its `when` lets in"
    return None


def _covers(wider: Match, narrower: Match) -> bool:
    """Whether everything that `narrower` matches, `wider` matches too."""
    return all(
        getattr(narrower, key) is not None
        and all(_has(key, getattr(wider, key), value) for value in getattr(narrower, key))
        for key in wider.given
    )


def _has(key: str, values: tuple[str, ...], value: str) -> bool:
    if key == "sku":
        return any(fnmatchcase(value, glob) for glob in values)
    return value in values


def _shadowed(policy: Policy) -> Iterator[Warning]:
    """A rule all of whose settings a later one sets, wherever it applies."""
    for position, rule in enumerate(policy.rules):
        named = set(rule.set.named())
        later = [
            other
            for other in policy.rules[position + 1 :]
            if _covers(other.when, rule.when) and _is_never_taken_out(other, rule)
        ]
        taken = {name for other in later for name in other.set.named()}
        if named and named <= taken:
            names = ", ".join(f"`{other.id}`" for other in later if named & set(other.set.named()))
            yield Warning(
                "shadowed",
                ("rules", position),
                f"rule `{rule.id}` has no effect: {names} further down sets the same wherever it"
                " applies; move it below, or remove it",
            )


def _is_never_taken_out(other: Rule, rule: Rule) -> bool:
    return other.unless is None or (rule.unless is not None and _covers(rule.unless, other.unless))


def _contradictory(policy: Policy) -> Iterator[Warning]:
    """Two rules that overlap, neither being the special case, and set different values."""
    for position, rule in enumerate(policy.rules):
        for other in policy.rules[position + 1 :]:
            if _covers(other.when, rule.when) or _covers(rule.when, other.when):
                continue
            if not _overlap(rule.when, other.when) or _keep_apart(rule, other):
                continue
            mine, theirs = rule.set.named(), other.set.named()
            names = [name for name in mine if name in theirs and mine[name] != theirs[name]]
            if names:
                yield Warning(
                    "contradictory",
                    ("rules", position),
                    f"rules `{rule.id}` and `{other.id}` can both apply and set"
                    f" {', '.join(names)} differently: `{other.id}` wins because it stands"
                    " further down; say so with `unless`, or narrow one of them",
                )


def _keep_apart(one: Rule, other: Rule) -> bool:
    """Whether the `unless` of one takes out all that the other is about."""
    return any(
        rule.unless is not None and _covers(rule.unless, another.when)
        for rule, another in ((one, other), (other, one))
    )


def _overlap(one: Match, other: Match) -> bool:
    """Whether a line could match both; different keys do not keep rules apart."""
    for key in one.given:
        values, others = getattr(one, key), getattr(other, key)
        if others is None or key == "trait":
            continue
        if key == "sku":
            if not any(fnmatchcase(a, b) or fnmatchcase(b, a) for a in values for b in others):
                return False
        elif not set(values) & set(others):
            return False
    return True


def _gaps(policy: Policy) -> Iterator[Warning]:
    for path, settings in _all_settings(policy):
        if settings.return_shipping is Payer.CUSTOMER and not settings.return_shipping_fee:
            yield Warning(
                "gap",
                (*path, "return_shipping"),
                "the customer pays the way back, but no return_shipping_fee is set: nothing is"
                " deducted; name a fee per currency",
            )
        if settings.loyalty is LoyaltyMode.CASH_EQUIVALENT and not settings.point_value:
            yield Warning(
                "gap",
                (*path, "loyalty"),
                "cash_equivalent without a point_value: points are reversed instead",
            )
    known = set(policy.limits.auto_approve_up_to)
    for currency in sorted(_currencies(policy) - known):
        yield Warning(
            "gap",
            ("limits", "auto_approve_up_to"),
            f"{currency} is used in this policy, but has no limit: any amount is approved without"
            " a person; add one",
        )
    if "default" not in policy.return_addresses:
        yield Warning(
            "gap",
            ("return_addresses",),
            "there is no `default` address: buyers elsewhere get none; add one",
        )
    yield from _uncovered(policy)


def _uncovered(policy: Policy) -> Iterator[Warning]:
    excluded = {
        trait
        for rule in policy.rules
        if rule.set.named().get("returnable") is False
        for trait in rule.when.trait or ()
    }
    for trait in (Trait.PERISHABLE, Trait.PERSONALISED):
        if trait not in excluded and policy.defaults.returnable:
            yield Warning(
                "gap",
                ("rules",),
                f"what is {trait} is taken back like anything else: own `rules` replace the"
                " built-in ones; add a rule if that is not meant",
            )


def _currencies(policy: Policy) -> set[str]:
    found: set[str] = set(policy.limits.four_eyes_above)
    for _, settings in _all_settings(policy):
        found |= {
            *settings.return_shipping_fee,
            *settings.keep_item_up_to,
            *settings.point_value,
        }
    return found


def _all_settings(policy: Policy) -> Iterator[tuple[tuple[str | int, ...], Settings]]:
    yield ("defaults",), policy.defaults
    for position, rule in enumerate(policy.rules):
        settings = policy.defaults.model_copy(update=rule.set.named())
        if rule.set.named():
            yield ("rules", position, "set"), settings


def _faults_in_short_windows(policy: Policy) -> Iterator[Warning]:
    """A window for all reasons, in a place whose law gives longer for what is faulty."""
    for position, rule in enumerate(policy.rules):
        if rule.when.reason or "window_days" not in rule.set.named():
            continue
        for country, _ in floor.places(rule) if floor.reaches_consumers(rule) else ():
            row = conformity_in(country)
            if row is None or not row.refund_at_once or row.days is None:
                continue
            if rule.set.window_days < row.days:
                yield Warning(
                    "law",
                    ("rules", position, "set", "window_days"),
                    f"rule `{rule.id}`: faulty goods can be rejected for {row.days} days in"
                    f" {country} ({row.id}); the law overrules the window for them",
                )


def _overruled(policy: Policy) -> Iterator[Warning]:
    """Defaults and general rules under which the law gives its buyers more."""
    for what, said in _less_than_law(policy.defaults, dict.fromkeys(Settings.model_fields)):
        yield Warning("law", ("defaults", what), _said(what, said))
    for position, rule in enumerate(policy.rules):
        if floor.places(rule) or not floor.reaches_consumers(rule):
            continue
        for what, said in _less_than_law(rule.set, rule.set.named()):
            yield Warning(
                "law", ("rules", position, "set", what), f"rule `{rule.id}`: {_said(what, said)}"
            )


def _said(what: str, said: str) -> str:
    return f"{what}: {said}; the law overrules it for consumers in the EU and the UK ({EUROPE.id})"


def _less_than_law(
    settings: Settings, named: dict[str, object] | dict[str, None]
) -> Iterator[tuple[str, str]]:
    if "window_days" in named and settings.window_days < 14:
        yield "window_days", f"{settings.window_days} days are fewer than 14"
    if "window_anchor" in named and settings.window_anchor is not WindowAnchor.DELIVERED:
        yield "window_anchor", "the statutory period runs from possession"
    if "restocking_fee_bps" in named and settings.restocking_fee_bps:
        yield "restocking_fee_bps", "a withdrawal bears no fee"
    if "refund_on" in named and settings.refund_on in (RefundOn.RECEIPT, RefundOn.INSPECTION):
        yield "refund_on", "a withdrawal is refunded on proof of sending at the latest"
    if "outbound_shipping" in named and settings.outbound_shipping is OutboundShipping.NONE:
        yield "outbound_shipping", "a full withdrawal brings standard delivery back"
    if "send_within_days" in named and settings.send_within_days < 14:
        yield "send_within_days", "14 days are given to send goods back"
    if "loyalty" in named and settings.loyalty is LoyaltyMode.CASH_EQUIVALENT:
        yield "loyalty", "no cash is deducted from a withdrawal"
    if "resolutions" in named and Resolution.REFUND not in settings.resolutions:
        yield "resolutions", "a withdrawal brings the money back"
