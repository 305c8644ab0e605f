"""The `returns` command: one module per command or group, imported when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "up": "services.ops.up:up",
    "demo": "services.ops.demo.command:demo",
    "submit": "services.ops.returns:submit",
    "show": "services.ops.returns:show",
    "watch": "services.ops.returns:watch",
    "decide": "services.ops.decide:decide",
    "explain": "services.ops.explain:explain",
    "policy": "services.ops.policy:app",
    "quarantine": "services.ops.quarantine:app",
    "warehouse": "services.ops.warehouse:app",
    "reconcile": "services.ops.reconcile:reconcile",
    "prove": "services.ops.prove:prove",
    "doctor": "services.ops.doctor:doctor",
    "bench": "services.ops.bench:bench",
}
"""Name -> where it is; in the order of the help."""

SETTINGS = {"bench": {"allow_extra_args": True, "ignore_unknown_options": True}}
"""Commands that pass their arguments on."""

LOOK_IN_THE_ENVIRONMENT = {"explain", "warehouse"}
"""Commands that know the running system by its variables only."""


class Commands(TyperGroup):
    """Imports a command when it is called: `returns decide` must not wait for a broker's client."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return loaded(cmd_name) if cmd_name in COMMANDS else None


def loaded(name: str) -> Any:
    """The command or group of this name, as click wants it."""
    module, _, attribute = COMMANDS[name].partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name, context_settings=SETTINGS.get(name))(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = name
    return command


app = typer.Typer(
    name="returns",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def returns(context: typer.Context) -> None:
    """Returns and refunds: run the system, talk to it, look into it."""
    if context.invoked_subcommand in LOOK_IN_THE_ENVIRONMENT:
        from services.ops import running

        running.point_environment()


def main() -> None:
    """Entry point of `.venv/bin/returns`."""
    app()


if __name__ == "__main__":
    main()
