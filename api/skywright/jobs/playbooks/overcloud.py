"""Making the hosts of a plan a highly available cloud, or what it has changed to."""

from skywright.jobs.overclouds import DEPLOY, OvercloudPlaybook

PLAYBOOK = OvercloudPlaybook(DEPLOY, limit_seconds=7200.0)
