"""`returns decide` and `returns policy`: files in, answers out, exit statuses."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from services.ops import decide, policy
from tests.unit.commerce.judge.documents import NOW, days, line, order, request, text, wanted

app = typer.Typer()
app.command()(decide.decide)
app.add_typer(policy.app)

GOOD = {"now": text(NOW), "order": order(line(900)), "request": request()}
LATE = GOOD | {"order": order(line(900), delivered=NOW - days(40))}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments])


def broken() -> dict[str, Any]:
    bad = copy.deepcopy(GOOD)
    bad["request"]["lines"][0]["quantity"] = "many"
    return bad


def written(tmp_path: Path, content: str) -> Path:
    file = tmp_path / "documents"
    file.write_text(content, "utf-8")
    return file


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(GOOD),
        json.dumps(GOOD, indent=2),
        "\ufeff" + json.dumps(GOOD),
        json.dumps([GOOD]),
        json.dumps([GOOD], indent=1),
        "\n\n" + json.dumps(GOOD) + "\n\n",
    ],
)
def test_one_document_in_any_shape_gives_one_line(content: str, tmp_path: Path) -> None:
    done = run("decide", written(tmp_path, content), "--json")
    assert done.exit_code == 0, done.output
    [answer] = done.stdout.splitlines()
    assert json.loads(answer)["decision"] == "approved"


def test_a_list_and_lines_give_the_same_answers(tmp_path: Path) -> None:
    listed = run("decide", written(tmp_path, json.dumps([GOOD, LATE])), "--json")
    lines = run("decide", written(tmp_path, f"{json.dumps(GOOD)}\n{json.dumps(LATE)}"), "--json")
    assert listed.stdout == lines.stdout
    assert [json.loads(each)["decision"] for each in lines.stdout.splitlines()] == [
        "approved",
        "escalated",
    ]


@pytest.mark.parametrize("as_list", [True, False])
def test_unreadable_documents_are_named_and_the_others_decided(
    as_list: bool, tmp_path: Path
) -> None:
    everything = [GOOD, broken(), 7, GOOD]
    lines = "\n".join(json.dumps(each) for each in everything)
    content = json.dumps(everything) if as_list else lines
    done = run("decide", written(tmp_path, content), "--json")
    assert done.exit_code == 2
    answers = [json.loads(each) for each in done.stdout.splitlines()]
    assert [each.get("decision") for each in answers] == ["approved", None, None, "approved"]
    assert answers[1]["error"]["document"] == 2
    assert answers[1]["error"]["field"] == "request.lines.0.quantity"
    assert answers[2]["error"] == {
        "document": 3,
        "field": "",
        "message": "a document is a JSON object",
    }
    assert "document 2: request.lines.0.quantity" in done.stderr


@pytest.mark.parametrize("as_list", [True, False])
def test_what_is_not_utf8_spoils_its_own_document_only(as_list: bool, tmp_path: Path) -> None:
    good = json.dumps(GOOD).encode()
    spoiled = good.replace(b'"now"', b'"n\xffw"')
    content = b"[" + b",".join([good, spoiled, good]) + b"]"
    file = tmp_path / "documents.json"
    file.write_bytes(content if as_list else b"\n".join([good, spoiled, good]))
    done = run("decide", file, "--json")
    assert done.exit_code == 2
    answers = [json.loads(each) for each in done.stdout.splitlines()]
    assert [each.get("decision") for each in answers] == ["approved", None, "approved"]
    assert answers[1]["error"] == {"document": 2, "field": "", "message": "is not UTF-8"}


@pytest.mark.parametrize("key", ["category", "sku", "region"])
def test_a_policy_with_half_a_character_makes_its_document_unreadable(
    key: str, tmp_path: Path
) -> None:
    rule = {"id": "r", "when": {key: ["US-\ud800"]}, "set": {"window_days": 40}}
    spoiled = GOOD | {"policy": {"policy": "p", "version": "1", "rules": [rule]}}
    done = run("decide", written(tmp_path, json.dumps([spoiled, GOOD])), "--json")
    assert done.exit_code == 2
    refused, decided = (json.loads(each) for each in done.stdout.splitlines())
    assert refused["error"]["field"].startswith(f"policy.rules.0.when.{key}")
    assert decided["decision"] == "approved"


@pytest.mark.parametrize(
    ("content", "codes"),
    [
        (json.dumps(GOOD) + "\n{not json}\n" + json.dumps(GOOD), [True, False, True]),
        ("{not json}\n" + json.dumps(GOOD), [False, True]),
        (f"[{json.dumps(GOOD)}, {{broken", [True, False]),
        (f"[{json.dumps(GOOD)}", [True, False]),
        ("NaN", [False]),
        ("[" * 5000, [False]),
    ],
)
def test_what_is_not_json_is_told_with_its_number(
    content: str, codes: list[bool], tmp_path: Path
) -> None:
    done = run("decide", written(tmp_path, content), "--json")
    assert done.exit_code == 2
    answers = [json.loads(each) for each in done.stdout.splitlines()]
    assert ["decision" in each for each in answers] == codes


@pytest.mark.parametrize("content", ["", "  \n"])
def test_a_file_without_documents_is_wrong_use(content: str, tmp_path: Path) -> None:
    assert run("decide", written(tmp_path, content)).exit_code == 2
    assert run("decide", tmp_path / "missing").exit_code == 2
    assert run("decide", written(tmp_path, "[]")).exit_code == 0


def test_a_long_list_is_read_in_pieces() -> None:
    content = json.dumps([{"number": number, "filling": "x" * 3000} for number in range(2000)])
    read = list(decide.documents(io.StringIO(content)))
    assert [number for number, _ in read] == list(range(1, 2001))
    assert [value["number"] for _, value in read] == list(range(2000))  # type: ignore[index]


def test_for_people_it_is_readable(tmp_path: Path) -> None:
    done = run("decide", written(tmp_path, json.dumps(LATE)))
    assert "A person looks at your return" in done.stdout
    assert "Escalated (sequence 1) for outside window" in done.stdout


def test_a_policy_file_applies_where_a_document_has_none(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('policy: long\nversion: "9"\ndefaults: {window_days: 90}\n')
    own = LATE | {"policy": {"policy": "own", "version": "1"}}
    done = run(
        "decide", written(tmp_path, json.dumps([LATE, own])), "--json", "--policy", str(file)
    )
    answers = [json.loads(each) for each in done.stdout.splitlines()]
    assert [each["decision"] for each in answers] == ["approved", "escalated"]
    assert answers[0]["policy"] == {"id": "long", "version": "9"}
    file.write_text("policy: p\n")
    refused = run("decide", written(tmp_path, json.dumps(LATE)), "--policy", str(file))
    assert refused.exit_code == 2 and "policy.yaml:1" in refused.stderr


def test_policy_check_answers_0_or_1_and_names_the_line(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text('policy: p\nversion: "1"\nrules: [{id: a, when: {country: []}, set: {}}]\n')
    good = run("policy", "check", file)
    assert good.exit_code == 0 and f"{file}:3: warning: unreachable" in good.stdout
    file.write_text('policy: p\nversion: "1"\ncolor: red\n')
    bad = run("policy", "check", file)
    assert bad.exit_code == 1 and f"{file}:3: unknown key `color`" in bad.stderr
    data = json.loads(run("policy", "check", file, "--json").stdout)
    assert data["valid"] is False and len(data["problems"]) == 1


def test_a_backtest_counts_sums_and_names_the_rule_that_changes_a_case(tmp_path: Path) -> None:
    strict = tmp_path / "strict.yaml"
    strict.write_text(
        'policy: strict\nversion: "2"\nrules:\n'
        "- {id: no-hats, when: {sku: [SKU-2]}, set: {returnable: false}}\n"
    )
    both = order(line(900, "1"), line(500, "2"))
    documents = [
        GOOD,
        GOOD | {"order": both, "request": request(wanted("2"))},
        LATE,
        broken(),
    ]
    file = written(tmp_path, "\n".join(json.dumps(each) for each in documents))
    report = tmp_path / "report"
    done = run(
        "policy",
        "backtest",
        file,
        "--against",
        strict,
        "--report",
        report,
        "--workers",
        1,
        "--json",
    )
    assert done.exit_code == 2  # one document cannot be read
    summary = json.loads(done.stdout)
    before, after = summary["policies"]
    assert (summary["documents"], summary["unreadable"]) == (4, 1)
    assert (before["approval_rate"], after["approval_rate"]) == (0.6667, 0.3333)
    assert before["sums"]["USD"]["approved"] == 1400 and after["sums"]["USD"]["approved"] == 900
    [changed] = summary["changed"]
    assert (changed["document"], changed["from"], changed["to"]) == (2, "approved", "rejected")
    assert changed["because"] == "not_returnable by no-hats"
    assert (report / "plot.png").stat().st_size > 1000
    assert "no-hats" in (report / "report.md").read_text()


def test_the_keys_of_a_context_stay_where_their_values_are_not_known(tmp_path: Path) -> None:
    done = run("decide", written(tmp_path, json.dumps(LATE)), "--json")
    context = json.loads(done.stdout)["escalation"]["context"]
    assert context["lifetime_value"] is None and context["days_late"] == 10


def test_a_backtest_that_cannot_read_or_write_says_so_in_one_sentence(tmp_path: Path) -> None:
    file = written(tmp_path, json.dumps(LATE))
    taken = tmp_path / "taken"
    taken.write_text("a file, no folder")
    for given in ([tmp_path / "missing"], [tmp_path], [file, "--report", taken / "report"]):
        done = run("policy", "backtest", *given)
        assert done.exit_code == 2 and "Traceback" not in done.output, done.output
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
