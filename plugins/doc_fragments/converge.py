# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the documentation of all converging modules has in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment C(skywright.cloud.converge)."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Predicts exactly what a run would change, and writes nothing.
    support: full
  diff_mode:
    description: Shows every changed item before and after.
    support: full
notes:
  - Items that are not listed are left alone.
  - One bad item never stops the others; if any has an error the module fails after having converged the rest.
author:
  - Skywright contributors (@skywright)
"""
