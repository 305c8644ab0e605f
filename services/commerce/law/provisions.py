"""The rows that are cited or switch something, beside the rights themselves (`rows`)."""

from __future__ import annotations

from datetime import date

from services.commerce.law.countries import EEA
from services.commerce.law.rows import CONFORMITIES, WITHDRAWALS, Confidence, Row

H, M, L = Confidence.HIGH, Confidence.MEDIUM, Confidence.LOW
EUROPE = EEA
BRITAIN = frozenset({"GB"})
AMERICA = frozenset({"US"})
CRD = "Directive 2011/83/EU"


def _row(
    id: str,
    countries: frozenset[str] | str,
    summary: str,
    source: str,
    confidence: Confidence,
    *,
    regions: str = "",
    valid_from: date | None = None,
) -> Row:
    return Row(
        id=id,
        countries=frozenset(countries.split()) if isinstance(countries, str) else countries,
        regions=frozenset(regions.split()),
        summary=summary,
        source=source,
        confidence=confidence,
        valid_from=valid_from,
    )


PROVISIONS = (
    _row("EU-WD-MULTI", EUROPE, "several parcels: from the last good", f"{CRD} art. 9(2)(b)(i)", M),
    _row("EU-WD-LOTS", EUROPE, "several lots: from the last lot", f"{CRD} art. 9(2)(b)(ii)", M),
    _row(
        "EU-WD-RECUR", EUROPE, "a subscription: from the first good", f"{CRD} art. 9(2)(b)(iii)", M
    ),
    _row(
        "EU-WD-SERVICE",
        EUROPE,
        "digital content and services: 14 days from the contract",
        f"{CRD} art. 9(2)(a),(c), 16(a),(m)",
        M,
    ),
    _row("EU-WD-UNSOL", "IT", "unsolicited visits: 30 days", f"{CRD} art. 9(1a)", M),
    _row(
        "EU-WD-NOINFO",
        EUROPE,
        "not informed: 12 months more; informed late: 14 days from then",
        f"{CRD} art. 10, 14(1), 14(2)",
        M,
    ),
    _row("EU-WD-EXERCISE", EUROPE, "sent before the period ends is in time", f"{CRD} art. 11", M),
    _row("EU-WD-SENDBACK", EUROPE, "14 days to send the goods back", f"{CRD} art. 14(1)", M),
    _row(
        "EU-WITHHOLD",
        EUROPE,
        "the refund may wait for goods or proof of sending, whichever is earlier",
        f"{CRD} art. 13(3)",
        M,
    ),
    _row("EU-SAMEMEANS", EUROPE, "the means of payment used to pay", f"{CRD} art. 13(1)", M),
    _row(
        "EU-SHIP-STD",
        EUROPE,
        "outbound delivery up to the least expensive standard offered",
        f"{CRD} art. 13(1)-(2); CJEU C-511/08",
        M,
    ),
    _row(
        "EU-DIMVALUE",
        EUROPE,
        "loss of value from handling beyond testing; no flat fee; nothing if not informed",
        f"{CRD} art. 14(2)",
        M,
    ),
    _row("EU-ART16", EUROPE, "the closed list of goods without a withdrawal", f"{CRD} art. 16", M),
    _row(
        "EU-11A",
        EUROPE,
        "a withdrawal function in every interface that concludes contracts",
        f"{CRD} art. 11a (Directive (EU) 2023/2673)",
        M,
        valid_from=date(2026, 6, 19),
    ),
    _row("EU-ANCILLARY", EUROPE, "ancillary contracts end too, at no cost", f"{CRD} art. 15", M),
    _row("EU-LATE-DELIV", EUROPE, "no delivery in 30 days: all sums back", f"{CRD} art. 18", L),
    _row(
        "EU-CONF-BURDEN",
        EUROPE,
        "a defect within a year is presumed to have been there",
        "Directive (EU) 2019/771 art. 11",
        L,
    ),
    _row(
        "EU-CONF-HIER",
        EUROPE,
        "the money at once if repair failed, was refused, or the fault is serious",
        "Directive (EU) 2019/771 art. 13(3)-(4)",
        L,
    ),
    _row(
        "EU-REPAIR-EXT",
        EUROPE,
        "12 months more, once, after a repair",
        "Directive (EU) 2024/1799",
        M,
        valid_from=date(2026, 7, 31),
    ),
    _row("DE-WD", "DE", "14 days as in the EU", "§§ 312g, 355-357a BGB", M),
    _row("FR-WD", "FR", "14 days as in the EU", "Code de la consommation L221-18, L221-24", M),
    _row(
        "FR-LATE-PENALTY",
        "FR",
        "a late refund grows: 5 % after 10 days, up to 50 % after 60",
        "Code de la consommation L242-4",
        H,
    ),
    _row(
        "FR-LATE-DELIVERY-PENALTY",
        "FR",
        "a late refund of an undelivered order grows by 10, 20, 50 %",
        "Code de la consommation L241-4",
        H,
    ),
    _row("IT-WD", "IT", "14 days as in the EU", "Codice del consumo art. 52-59, 54-bis", M),
    _row("NL-11A", "NL", "14 days as in the EU", "BW 6:230o, 6:230oa", M),
    _row("RO-11A", "RO", "14 days as in the EU", "OUG 34/2014 art. 9, 11¹", M),
    _row("AT-WD", "AT", "14 days as in the EU", "FAGG §§ 11-12", M),
    _row("CH-NONE", "CH", "no statutory right for online sales", "voluntary only", M),
    _row(
        "UK-FINAL-REJECT",
        BRITAIN,
        "after one failed repair: price reduction or final rejection",
        "Consumer Rights Act 2015 ss 19, 23-24",
        M,
    ),
    _row(
        "US-FTC-MITOR",
        AMERICA,
        "goods not shipped in time: a full refund if the delay is not accepted",
        "16 CFR 435",
        H,
    ),
    _row("US-FTC-COOL", AMERICA, "door-to-door sales: 3 business days", "16 CFR 429", M),
    _row(
        "US-FCBA-CREDIT",
        AMERICA,
        "an accepted return is credited to the card within 7 business days",
        "15 USC 1666e; 12 CFR 1026.12(e)",
        H,
    ),
    _row(
        "US-CA", AMERICA, "30 days if no policy is posted", "Cal. Civ. Code 1723", M, regions="CA"
    ),
    _row(
        "US-CA-FEE-TAX",
        AMERICA,
        "tax on the full price is given back even where a restocking fee is kept",
        "CDTFA annotation 490.0223",
        H,
        regions="CA",
    ),
    _row("US-NY", AMERICA, "30 days if no policy is posted", "GBL 218-a", H, regions="NY"),
    _row(
        "US-FL", AMERICA, "7 days if no sign says otherwise", "Fla. Stat. 501.142", H, regions="FL"
    ),
    _row("US-NJ", AMERICA, "20 days if not posted", "N.J.S.A. 56:8-2.14 to 2.19", H, regions="NJ"),
    _row(
        "US-OTHER",
        AMERICA,
        "disclosure rules of single states",
        "state law (findlaw.com overview)",
        L,
        regions="VA RI CT HI MN MA MD OH UT",
    ),
    _row("US-DEFAULT", AMERICA, "the merchant's posted policy", "UCC 2-601, 2-714", L),
    _row(
        "CA-ON",
        "CA",
        "cancellation where required disclosure is missing",
        "Consumer Protection Act, 2002 (Ontario)",
        L,
        regions="ON",
    ),
    _row(
        "CA-QC",
        "CA",
        "cancellation where required disclosure is missing",
        "Consumer Protection Act (Québec)",
        L,
        regions="QC",
    ),
    _row(
        "JP-MAIL",
        "JP",
        "8 days, only if the seller stated no return terms",
        "Act on Specified Commercial Transactions art. 15-3",
        M,
    ),
)
ROWS: dict[str, Row] = {row.id: row for row in (*WITHDRAWALS, *CONFORMITIES, *PROVISIONS)}
NATIONAL = {"DE": "DE-WD", "FR": "FR-WD", "IT": "IT-WD", "NL": "NL-11A", "RO": "RO-11A"} | {
    "AT": "AT-WD"
}
"""country -> the national provision to cite for the EU right of withdrawal."""
