"""The contract of all kinds that hosts converge (`plugins/module_utils/kinds`).

A kind adds one description, `hosts/<kind>.py`: what of a host it needs.
"""
