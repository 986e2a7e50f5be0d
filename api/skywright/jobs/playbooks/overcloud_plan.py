"""What would hinder the deployment of a plan, and what it would change."""

from skywright.jobs.overclouds import PLAN, OvercloudPlaybook

PLAYBOOK = OvercloudPlaybook(PLAN, limit_seconds=3600.0, check=True)
