# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Security groups: the flows of their rules and addresses, which the ports of a host share."""

from __future__ import annotations

import os

from ansible_collections.skywright.cloud.plugins.module_utils import check
from ansible_collections.skywright.cloud.plugins.module_utils.files import ids_in, read_text, remove
from ansible_collections.skywright.cloud.plugins.module_utils.group_flows import members, rules
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import SECURITY_GROUPS as COOKIES
from ansible_collections.skywright.cloud.plugins.module_utils.pipeline import cookie, loaded
from ansible_collections.skywright.cloud.plugins.module_utils.spec import list_of, option, state, strings
from ansible_collections.skywright.cloud.plugins.module_utils.switch_flows import FlowKind, additions, replacement

SECURITY_GROUPS = list_of(
    "The security groups to converge. A group whose addresses alone matter has no rules, as an address group.",
    id=option("UUID of the security group, or of the address group.", required=True),
    state=state("Whether the host has the group."),
    generation=option(
        "A number that grows with each change. The host keeps a group that has a larger one.", "int", default=0
    ),
    rules=list_of(
        "All rules of the group. What no rule of a port's groups allows is dropped.",
        direction=option("The direction, seen from the server.", choices=["ingress", "egress"], required=True),
        ethertype=option("The IP version.", choices=["IPv4", "IPv6"], default="IPv4"),
        protocol=option("The protocol, as a name of Neutron's API or as a number; the default is all."),
        port_range_min=option("The first port; the type of ICMP.", "int"),
        port_range_max=option("The last port; the code of ICMP.", "int"),
        remote_ip_prefix=option("The address or network at the other end; the default is all."),
        remote_group_id=option("UUID of the group whose addresses are at the other end."),
    ),
    members=strings("All addresses and networks of the group's ports, or of the address group."),
)
# The lines of a group's file before its flows: the kind of what they belong to, and that.
GENERATION, PARTS = "# generation ", {"rules": "# rule ", "members": "# member "}


class OvsSecurityGroup(FlowKind):
    """The security groups of one host.

    A group is {"generation": int, "rules": [text], "members": [address], "others": [text], "saved": bool}. It has a
    rule or a member if it has all of its flows; others are flows that belong to none. Saved ones are in a file, too,
    from which a unit restores the flows when the switch starts.
    """

    name, items, label = "ovs_security_group", "security_groups", "security group"
    item = SECURITY_GROUPS
    after = ("ovs_network",)

    def __init__(self, **options):
        super().__init__(**options)
        self.files = {}  # group id: Flows in its file
        self.texts = {}  # group id: its present flows
        self.wanted = {}  # group id: Flows

    def path(self, group_id, *name):
        """Return the path of a group's directory, or of its file C(flows)."""
        return os.path.join(self.directory, "groups", group_id, *name)

    def read(self, items):
        """Read the flows and the files of the groups."""
        ids = [item["id"] for item in items if check.UUID.fullmatch(item["id"])]
        present, restored, found = self.present(COOKIES, ids), self.has_unit(), {}
        for group_id in ids:
            # A cookie has only the first digits of an id.
            own = [f",{loaded(group_id, register)}" for register in (1, 2)]
            texts = {text for text in present.get(cookie(COOKIES, group_id), ()) if any(match in text for match in own)}
            content = read_text(self.path(group_id, "flows"))
            self.texts[group_id] = texts
            self.files[group_id] = Flows.parse(content or "")
            if texts or os.path.isdir(self.path(group_id)):
                found[group_id] = self.files[group_id].state(texts)
                found[group_id]["saved"] = restored and self.files[group_id].content() == content
        return found

    def marks(self):
        """List the groups with saved flows."""
        return [{"id": group_id} for group_id in ids_in(os.path.join(self.directory, "groups"))]

    def want(self, item, have):
        """Return the wanted group: what the item says, or a newer one that the host has."""
        check.uuid(item["id"])
        if item["state"] == "absent":
            return None
        flows = self.files[item["id"]]
        if flows.generation <= item["generation"]:
            flows = Flows(item["generation"], rules(item), members(item))
        self.wanted[item["id"]] = flows
        return {**flows.state(flows.texts()), "saved": True}

    def write_together(self, steps):
        """Save the new flows first, so that an interrupted run loses none, and delete old files last."""
        lines = []
        for step in steps:
            if step.want:
                self.save(self.path(step.id, "flows"), self.wanted[step.id].content())
            wanted = self.wanted[step.id].texts() if step.want else set()
            lines += replacement(self.texts[step.id], wanted)
        self.send(lines)
        for step in steps:
            if not step.want:
                remove(self.path(step.id))


class Flows:
    """The flows of a group with what they belong to: C(rules) and C(members) are {text: {text of a flow}}."""

    def __init__(self, generation=0, rules=None, members=None):
        self.generation = generation
        self.parts = {"rules": rules or {}, "members": members or {}}

    def texts(self):
        """Return all flows."""
        return {text for part in self.parts.values() for texts in part.values() for text in texts}

    def state(self, present):
        """Return the state of a group with the flows C(present)."""
        found = {
            name: sorted(one for one, texts in part.items() if texts <= present) for name, part in self.parts.items()
        }
        return {"generation": self.generation, **found, "others": sorted(present - self.texts())}

    def content(self):
        """Return the content of the group's file."""
        lines = [f"{GENERATION}{self.generation}\n"]
        for name, part in self.parts.items():
            for one, texts in sorted(part.items()):
                lines += [f"{PARTS[name]}{one}\n", *additions(texts)]
        return "".join(lines)

    @classmethod
    def parse(cls, content):
        """Return the flows in a group's file; lines that are not understood are left out."""
        found, part = cls(), set()
        for line in content.splitlines():
            if line.startswith(GENERATION) and line[len(GENERATION) :].isdecimal():
                found.generation = int(line[len(GENERATION) :])
            for name, start in PARTS.items():
                if line.startswith(start):
                    part = found.parts[name].setdefault(line[len(start) :], set())
            if line.startswith("flow add "):
                part.add(line[len("flow add ") :])
        return found
