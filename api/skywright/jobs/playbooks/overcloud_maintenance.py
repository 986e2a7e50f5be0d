"""Taking a controller of an overcloud out of use, and back."""

from skywright.jobs.overclouds import MAINTAIN, OvercloudPlaybook

PLAYBOOK = OvercloudPlaybook(MAINTAIN, limit_seconds=600.0)
