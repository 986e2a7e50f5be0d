# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A kind of thing on hosts: what a module converges a list of, alone or in one process with all other kinds."""

from __future__ import annotations

from ansible_collections.skywright.cloud.plugins.module_utils.caller import end_with_caller
from ansible_collections.skywright.cloud.plugins.module_utils.command import Runner
from ansible_collections.skywright.cloud.plugins.module_utils.converge import Convergence, answer
from ansible_collections.skywright.cloud.plugins.module_utils.spec import argument_specs, option

UNMET = option(
    [
        "What could not be made before, as a dictionary of ids and reasons.",
        "An item that is one of them, or a present one that needs one, fails with its reason and is not touched.",
    ],
    "dict",
    default={},
)


class Kind:
    """One kind; a subclass says what it reads, wants and writes.

    C(name) is the module that is its face, C(items) which of a host's item lists it converges, C(item) the options of
    that list, C(label) what users call one item. C(after) names the kinds that present items wait for; absent items
    wait for those that come after. C(options) are its settings, C(variables) those of them that are variables of
    hosts: {option: variable}. C(exclusive) is the lock to hold from the read to the last write. C(on_null_hosts) says
    whether libvirt's null driver is enough for it.

    C(gone) are the ids that would have been removed by now if check mode had not left them there.
    """

    name = ""
    items = ""
    item = {}
    label = ""
    after = ()
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
        """The writes that were sent."""
        return self.runner.commands

    def concerns(self, item):
        """Whether the item is one for this kind."""
        return True

    def needs(self, item):
        """List the ids that must not have failed before: the item's own, and what a present one is made of."""
        return [item["id"]]

    def provides(self, item):
        """List the ids that others cannot have if the item failed."""
        return [item["id"]]

    def prepare(self):
        """Do what takes a while and can be done before the kinds that come before have ended; it changes nothing."""

    def read(self, items):
        """Read what is there: {id: have}; an id that is left out is absent."""
        raise NotImplementedError

    def want(self, item, have):
        """Give the wanted dictionary, or None for absent; may raise ItemError; writes nothing."""
        raise NotImplementedError

    def apply(self, steps, done):
        """Take the steps; {id: error} of those that failed. C(done(id, error)) tells of a step as soon as it ended."""
        raise NotImplementedError

    def marks(self):
        """List what the host has of this kind, in the cloud's records or not; an entry's C(id) is an item's."""
        raise NotImplementedError

    def status(self, want):
        """Name what a converged item is, for programs."""
        return "present"

    @classmethod
    def module_options(cls):
        """Give the options of the module that converges this kind alone."""
        items = {name: facet for name, facet in cls.item.items() if name != "default"}
        return {cls.items: {**items, "required": True}, **cls.options, "unmet": UNMET}

    @classmethod
    def argument_spec(cls):
        """Give that module's argument spec."""
        return argument_specs(cls.module_options())


def converge_alone(module, kind):
    """Converge a module's list of one kind, and exit."""
    end_with_caller()
    one = kind(**module.params)
    convergence = Convergence(one, module.check_mode, handed_on(module.params["unmet"]))
    answer(module, convergence.run(module.params[kind.items]), one.commands)


def handed_on(unmet):
    """Give {id: reason}, a module's option, as a convergence takes it."""
    return {need: ("", need, reason) for need, reason in unmet.items()}
