"""The `returns` command: one file per command or group of commands."""

from __future__ import annotations

import typer

from services.ops import (
    decide,
    doctor,
    policy,
    prove,
    quarantine,
    reconcile,
    returns,
    running,
    up,
    warehouse,
)
from services.ops.demo import command as demo

app = typer.Typer(
    name="returns",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = (
    up.up,
    demo.demo,
    returns.submit,
    returns.show,
    returns.watch,
    decide.decide,
    doctor.doctor,
    reconcile.reconcile,
    prove.prove,
)
GROUPS = {"policy": policy.app, "quarantine": quarantine.app, "warehouse": warehouse.app}
LOOK_IN_THE_ENVIRONMENT = {"warehouse"}
"""Groups that know the running system by its variables only."""


@app.callback()
def main_options(context: typer.Context) -> None:
    """Returns and refunds: run the system, talk to it, look into it."""
    if context.invoked_subcommand in LOOK_IN_THE_ENVIRONMENT:
        running.point_environment()


for each in COMMANDS:
    app.command()(each)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


def main() -> None:
    """Entry point of `.venv/bin/returns`."""
    app()


if __name__ == "__main__":
    main()
