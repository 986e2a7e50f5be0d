# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs programs: argv lists in the C locale, without a shell, with a timeout."""

from __future__ import annotations

import os
import subprocess

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError


class Runner:
    """Runs programs and records those that change something in C(commands)."""

    def __init__(self):
        self.commands = []

    def read(self, argv, timeout=30, stdin=""):
        """Run a program that changes nothing and return its output."""
        return self._run(argv, timeout, stdin) if stdin else self._run(argv, timeout)

    def write(self, argv, timeout=60, stdin=""):
        """Run a program that changes the host, and record it for the module's result."""
        self.commands.append([*argv, *stdin.splitlines()])
        return self._run(argv, timeout, stdin) if stdin else self._run(argv, timeout)

    @staticmethod
    def _run(argv, timeout, stdin=""):
        try:
            done = subprocess.run(
                argv,
                input=stdin,
                capture_output=True,
                timeout=timeout,
                env=dict(os.environ, LC_ALL="C"),
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            raise ItemError(f"{argv[0]} is not installed on this host") from error
        except subprocess.TimeoutExpired as error:
            raise ItemError(f"{argv[0]} did not end within {timeout} seconds") from error
        if done.returncode != 0:
            text = (done.stderr.strip() or done.stdout.strip())[-1000:]
            raise ItemError(f"{argv[0]} failed ({done.returncode}): {text}")
        return done.stdout
