# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The security groups of a declared cloud, as items of its hosts."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

RULE = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix")


class SecurityGroups:
    """Declared security groups; C(identify) returns the UUID of a name."""

    def __init__(self, declared, identify):
        self.by_name = {group["name"]: group for group in declared}
        self.identify = identify
        for group in declared:
            for rule in self._rules(group):
                if rule.get("remote_group"):
                    self.ids([rule["remote_group"]], f"security group {group['name']}")

    @staticmethod
    def _rules(group):
        return group.get("rules", []) if group.get("state", "present") == "present" else []

    def ids(self, names, user):
        """Return the UUIDs of the groups of C(user), or None for no list of groups."""
        if names is None:
            return None
        for name in names:
            if self.by_name.get(name, {"state": "absent"}).get("state", "present") == "absent":
                raise AnsibleFilterError(f"{user} has the security group {name}, which is not declared")
        return [self.identify(name) for name in names]

    def items(self, used, members):
        """Return the items of a host whose ports use the groups C(used); all others are absent there.

        C(members) is {group: the addresses of its ports in the cloud}.
        """
        remote = {rule.get("remote_group") for name in used for rule in self._rules(self.by_name[name])}
        return [self._item(group, members, {*used, *remote}) for group in self.by_name.values()]

    def _item(self, group, members, here):
        identifier = self.identify(group["name"])
        if group["name"] not in here:
            return {"id": identifier, "state": "absent"}
        rules = [self._rule(rule) for rule in self._rules(group)]
        return {
            "id": identifier,
            "state": "present",
            "rules": rules,
            "members": sorted(members.get(group["name"], ())),
        }

    def _rule(self, rule):
        remote = rule.get("remote_group")
        plain = {name: rule[name] for name in RULE if name in rule}
        return {**plain, "remote_group_id": self.identify(remote)} if remote else plain
