"""Bringing an overcloud back after all of it was off."""

from skywright.jobs.overclouds import RECOVER, OvercloudPlaybook

PLAYBOOK = OvercloudPlaybook(RECOVER, limit_seconds=7200.0)
