"""`returns policy`: check a policy file, and play a policy against past cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from services.commerce.policy import linter, loader, source
from services.commerce.policy.loader import PolicyRefused
from services.commerce.policy.model import Policy
from services.ops.backtest import backtest

app = typer.Typer(
    name="policy",
    help="Check a policy, and play it against past cases.",
    no_args_is_help=True,
    add_completion=False,
)
FAILED = 1
SHOWN = {"law": "note"}


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="a policy file, or a folder of versions")],
    as_json: Annotated[bool, typer.Option("--json", help="as data")] = False,
) -> None:
    """Exit 0 if the policy loads, 1 with file:line, what is wrong and how to mend it."""
    try:
        versions = source.read_versions(file)
    except PolicyRefused as refused:
        if as_json:
            typer.echo(json.dumps({"valid": False, "problems": refused.lines()}))
        else:
            for line in refused.lines():
                typer.echo(line, err=True)
        raise typer.Exit(FAILED) from refused
    files = source.files(file)
    warnings = [line for each in files for line in _warnings(each)]
    if as_json:
        loaded = [{"policy": each.policy, "version": each.version} for each in versions.policies]
        typer.echo(json.dumps({"valid": True, "policies": loaded, "warnings": warnings}))
        return
    for line in warnings:
        typer.echo(line)
    for policy in versions.policies:
        typer.echo(_summary(policy, len(warnings)))


def _warnings(file: Path) -> list[str]:
    text = file.read_text("utf-8")
    policy = loader.from_text(text, str(file))
    return [
        f"{file}:{loader.line_of(text, str(file), each.path)}:"
        f" {SHOWN.get(each.kind, 'warning')}: {each.kind}: {each.message}"
        for each in linter.warnings(policy)
    ]


def _summary(policy: Policy, warnings: int) -> str:
    since = f", in force from {policy.effective_from.isoformat()}" if policy.effective_from else ""
    return (
        f"{policy.policy} {policy.version} loads: {len(policy.rules)} rules{since};"
        f" {warnings} warnings"
    )


app.command()(backtest)
