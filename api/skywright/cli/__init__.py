"""The command `skywright`."""

# ruff: noqa: PLC0415

import sys

from skywright.cli.failure import StepFailed


def main() -> None:
    """Run the command line. `serve` and `worker` do not load the other commands, because they run for months."""
    if sys.argv[1:] == ["serve"]:
        from skywright.cli.cloud.serve import serve

        try:
            serve()
        except StepFailed as failure:
            sys.exit(f"{failure.what}\n{failure.advice}")
    else:
        from skywright.cli.commands import main as run

        run()


__all__ = ["main"]
