# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The base class of kinds. A kind converges a list of items on a host, alone or in one process with other kinds."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.module_utils.caller import end_with_caller
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import Convergence, answer
from ansible_collections.skywright.cloud.plugins.module_utils.spec import argument_specs, option

UNMET = option(
    [
        "The items that failed before, as a dictionary of ids and reasons.",
        "An item with such an id, or a present item that needs one, fails with the reason and is not changed.",
    ],
    "dict",
    default={},
)


class Kind:
    """One kind; a subclass implements C(read), C(want), C(apply) and C(marks).

    C(name) is the name of its own module, C(items) the name of its list among a host's items, C(item) the options of
    that list, C(label) the users' word for one item. Present items wait for the kinds in C(after); absent items wait
    for the kinds that name this one in C(after), and for present items of the kinds in C(removed_after), which remove
    parts of them. C(options) are its settings, C(variables) those settings that are
    variables of hosts: {option: variable}. C(exclusive) is the lock to hold from the read to the last write.
    C(on_null_hosts) is true if the kind works on null hosts.

    C(gone) are the ids that a real run would have removed before; it is empty except in check mode.
    """

    name = ""
    items = ""
    item = {}
    label = ""
    after = ()
    removed_after = ()
    options = {}
    variables = {}
    exclusive = None
    on_null_hosts = False

    def __init__(self, **options):
        self.runner = Runner()
        self.gone = set()
        given = {name: value for name, value in options.items() if value is not None}
        self.settings = {name: given.get(name, option.get("default")) for name, option in self.options.items()}

    @property
    def commands(self):
        """The commands that changed something."""
        return self.runner.commands

    def concerns(self, item):
        """Return whether this kind converges the item."""
        return True

    def needs(self, item):
        """Return the ids that must not have failed before: the item's own, and those of items that it uses."""
        return [item["id"]]

    def provides(self, item):
        """Return the ids that are missing for other items if this item fails."""
        return [item["id"]]

    def removes(self, item):
        """Return the ids that are gone after this item has converged."""
        return [item["id"]] if item["state"] == "absent" else []

    def prepare(self):
        """Do slow preparations that change nothing, while the kinds before this one are still running."""

    def read(self, items):
        """Return the current state of the items: {id: have}. A missing id is absent."""
        raise NotImplementedError

    def want(self, item, have):
        """Return the wanted state, or None for absent. Raise ItemError for an invalid item. Write nothing."""
        raise NotImplementedError

    def apply(self, steps, done):
        """Apply the steps and return {id: error} of the failed ones. Call C(done(id, error)) when a step ends."""
        raise NotImplementedError

    def marks(self):
        """List everything of this kind on the host, known to the cloud or not; entries have the C(id) of an item."""
        raise NotImplementedError

    def status(self, want):
        """Return the status of a converged item."""
        return "present"

    @classmethod
    def module_options(cls):
        """Return the options of the kind's own module."""
        items = {name: facet for name, facet in cls.item.items() if name != "default"}
        return {cls.items: {**items, "required": True}, **cls.options, "unmet": UNMET}

    @classmethod
    def argument_spec(cls):
        """Return the argument spec of the kind's own module."""
        return argument_specs(cls.module_options())


def converge_alone(module, kind):
    """Converge the items of the kind's own module, and exit."""
    end_with_caller()
    one = kind(**module.params)
    convergence = Convergence(one, module.check_mode, handed_on(module.params["unmet"]))
    answer(module, convergence.run(module.params[kind.items]), one.commands)


def handed_on(unmet):
    """Return the option C(unmet), {id: reason}, in the form of C(Convergence.unmet)."""
    return {need: ("", need, reason) for need, reason in unmet.items()}
