# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The common documentation of all converging modules."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment C(skywright.cloud.converge)."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Predicts exactly what a run would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows every changed item before and after the change.
    support: full
notes:
  - Items that are not listed are not changed.
  - A failed item does not stop the others. If an item has an error, the module fails after it converged the others.
author:
  - Skywright contributors (@skywright)
"""
