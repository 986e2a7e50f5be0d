"""The command `skywright`."""

from skywright.cli.commands import main

__all__ = ["main"]
