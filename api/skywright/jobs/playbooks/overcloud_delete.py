"""Taking an overcloud off its hosts."""

from skywright.jobs.overclouds import REMOVE, OvercloudPlaybook

PLAYBOOK = OvercloudPlaybook(REMOVE, limit_seconds=1800.0)
