"""Looking at all services of an overcloud."""

from skywright.jobs.overclouds import STATUS, OvercloudPlaybook

PLAYBOOK = OvercloudPlaybook(STATUS, limit_seconds=300.0)
