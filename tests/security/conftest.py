"""The fixtures of the contract tests, for hostile clients."""

from contract.conftest import admin, alt, api, demo

__all__ = ["admin", "alt", "api", "demo"]
