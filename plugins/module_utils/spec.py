# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options, defined once for argument specs, documentation of modules and options of roles."""

from __future__ import annotations

FACETS = ("type", "elements", "required", "choices", "default")


def option(description, type="str", **facets):
    """Return an option."""
    return {"description": description, "type": type, **facets}


def list_of(description, **options):
    """Return an option for a list of dictionaries with these options."""
    return {"description": description, "type": "list", "elements": "dict", "default": [], "options": options}


def dict_of(description, **options):
    """Return an option for a dictionary."""
    return {"description": description, "type": "dict", "options": options}


def strings(description):
    """Return an option for a list of strings."""
    return {"description": description, "type": "list", "elements": "str", "default": []}


def state(description):
    """Return the option C(state)."""
    return option(description, choices=["present", "absent"], default="present")


def argument_specs(options):
    """Return an argument spec: the options without descriptions."""
    return {name: argument_spec(found) for name, found in options.items()}


def argument_spec(found):
    """Return one option in the form of an argument spec."""
    spec = {name: found[name] for name in FACETS if name in found}
    if "options" in found:
        spec["options"] = argument_specs(found["options"])
    return spec


def documentation(options):
    """Return options in the form of a module's documentation."""
    return {name: _documented(found) for name, found in options.items()}


def _documented(found):
    text = {"description": found["description"], **{name: found[name] for name in FACETS if name in found}}
    if "options" in found:
        text["suboptions"] = documentation(found["options"])
    return text
