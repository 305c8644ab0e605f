"""The `returns` command: one file per command or group of commands."""

from __future__ import annotations

import typer

from services.ops.demo.command import demo
from services.ops.up import up

app = typer.Typer(
    name="returns",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def returns() -> None:
    """Returns and refunds: run the system, talk to it, look into it."""


app.command()(up)
app.command()(demo)


def main() -> None:
    """Entry point of `.venv/bin/returns`."""
    app()


if __name__ == "__main__":
    main()
