# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options, written once: argument specs, modules' documentation and roles' options are made of them."""

from __future__ import annotations

FACETS = ("type", "elements", "required", "choices", "default")


def option(description, type="str", **facets):
    """Describe an option."""
    return {"description": description, "type": type, **facets}


def list_of(description, **options):
    """Describe a list of dictionaries; C(options) are those of each."""
    return {"description": description, "type": "list", "elements": "dict", "default": [], "options": options}


def dict_of(description, **options):
    """Describe a dictionary."""
    return {"description": description, "type": "dict", "options": options}


def strings(description):
    """Describe a list of strings."""
    return {"description": description, "type": "list", "elements": "str", "default": []}


def state(description):
    """Describe whether an item shall be there."""
    return option(description, choices=["present", "absent"], default="present")


def argument_specs(options):
    """Give an argument spec: options without their descriptions."""
    return {name: argument_spec(found) for name, found in options.items()}


def argument_spec(found):
    """Give one option as an argument spec has it."""
    spec = {name: found[name] for name in FACETS if name in found}
    if "options" in found:
        spec["options"] = argument_specs(found["options"])
    return spec


def documentation(options):
    """Give options as a module's documentation has them."""
    return {name: _documented(found) for name, found in options.items()}


def _documented(found):
    text = {"description": found["description"], **{name: found[name] for name in FACETS if name in found}}
    if "options" in found:
        text["suboptions"] = documentation(found["options"])
    return text
