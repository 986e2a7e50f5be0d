"""The contract of all kinds of resources (`services/<service>/kinds`), on a host of fakes.

A kind adds one description, `lives/<kind>.py`: how one is made, harmed and ended.
"""
