#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Databases and users of a MariaDB server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: galera_databases
short_description: Manage databases and users of a MariaDB server
description:
  - Creates databases, and users with exactly the listed privileges, as the local administrator.
  - In a cluster, the changes replicate to all nodes.
  - The module compares and sends hashes of passwords, and returns no passwords.
extends_documentation_fragment: skywright.cloud.converge
options:
  databases:
    description: The databases to create.
    type: list
    elements: str
    default: []
  users:
    description: The users to converge.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The user's name.
        type: str
        required: true
      host:
        description: The hosts that the user may connect from.
        type: str
        default: "%"
      password:
        description: The user's password, required with C(state=present).
        type: str
      privileges:
        description: Lists of privileges, as C(SHOW GRANTS) names them, by level, as in C(skywright.*) or C(*.*).
        type: dict
        default: {}
      require_tls:
        description: Whether the user must connect by TLS.
        type: bool
        default: true
      state:
        description: Whether the user exists.
        type: str
        choices: [present, absent]
        default: present
"""

EXAMPLES = r"""
- name: Create the database of the cloud
  skywright.cloud.galera_databases:
    databases: [skywright]
    users:
      - name: skywright
        password: "{{ overcloud_secrets.database }}"
        privileges: {skywright.*: [ALL PRIVILEGES]}
"""

RETURN = r"""
results:
  description: One entry per item, with the id C(database NAME) or C(user NAME@HOST).
  returned: always
  type: list
  elements: dict
commands:
  description: The statements that were sent, without passwords.
  returned: always
  type: list
  elements: str
"""

import hashlib
import json
import re

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError, converge, each
from ansible_collections.skywright.cloud.plugins.module_utils.galera_node import administrator

ARGUMENT_SPEC = {
    "databases": {"type": "list", "elements": "str", "default": []},
    "users": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "host": {"type": "str", "default": "%"},
            "password": {"type": "str", "no_log": True},
            "privileges": {"type": "dict", "default": {}},
            "require_tls": {"type": "bool", "default": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
}
NAME = re.compile(r"[A-Za-z0-9_$-]{1,64}")
LEVEL = re.compile(r"(\*|[A-Za-z0-9_$-]+)\.(\*|[A-Za-z0-9_$-]+)")
PRIVILEGE = re.compile(r"[A-Z][A-Z ]+[A-Z]")
GRANT = re.compile(r"GRANT ([A-Z, ]+) ON ([^ ]+) TO .*?( WITH GRANT OPTION)?")
ALL = "ALL PRIVILEGES"
# Shown instead of passwords.
SAME = "the wanted one"
OTHER = "another one"
REQUIRES_TLS = 1
STATEMENT_SECONDS = 60


def hashed(password):
    """Hash a password as the server does."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


def quoted(level):
    """Quote a level for GRANT, where an unescaped _ in a database name matches any character."""
    database, table = level.split(".")
    if database == "*":
        return level
    name = database if table != "*" else database.replace("_", r"\_")
    return f"`{name}`." + (table if table == "*" else f"`{table}`")


def granted(lines):
    """Parse the output of SHOW GRANTS into {level: [privileges]}."""
    levels = {}
    for line in lines:
        match = GRANT.fullmatch(line)
        if not match:
            continue
        privileges = {privilege.strip() for privilege in match[1].split(",")} - {"USAGE"}
        privileges |= {"GRANT OPTION"} if match[3] else set()
        if privileges:
            levels[match[2].replace("`", "").replace(r"\_", "_")] = sorted(privileges)
    return levels


class Server:
    """The databases and users of the local server."""

    def __init__(self, may_lack_server):
        self.may_lack_server = may_lack_server
        self.commands = []

    def read(self, items):
        """Return the databases, and the users of the items."""
        try:
            with administrator(STATEMENT_SECONDS) as cursor:
                return self._read(cursor, items)
        except (ImportError, OSError) as error:
            if self.may_lack_server:
                return {}
            raise ItemError(f"the server does not answer: {error}") from error

    def _read(self, cursor, items):
        cursor.execute("SELECT schema_name FROM information_schema.schemata")
        have = {f"database {name}": {} for (name,) in cursor.fetchall()}
        cursor.execute("SELECT user, host, priv FROM mysql.global_priv")
        accounts = {f"user {user}@{host}": json.loads(priv) for user, host, priv in cursor.fetchall()}
        for item in items:
            if item["id"] in accounts:
                have[item["id"]] = self._user(cursor, item, accounts[item["id"]])
        return have

    @staticmethod
    def _user(cursor, item, account):
        cursor.execute("SHOW GRANTS FOR %s@%s", (item["name"], item["host"]))
        same = item["password"] and account.get("authentication_string") == hashed(item["password"])
        return {
            "password": SAME if same else OTHER,
            "require_tls": account.get("ssl_type") == REQUIRES_TLS,
            "privileges": granted(line for (line,) in cursor.fetchall()),
        }

    def write(self, step):
        """Send the statements of one step."""
        with administrator(STATEMENT_SECONDS) as cursor:
            for statement, arguments in statements(step):
                told = ["(hidden)" if re.fullmatch(r"\*[0-9A-F]{40}", text) else text for text in arguments]
                self.commands.append(statement % tuple(map(repr, told)))
                cursor.execute(statement, arguments)


def want(item, _have):
    """Return the wanted state of an item."""
    if item["state"] == "absent":
        return None
    if item["kind"] == "database":
        if not NAME.fullmatch(item["name"]):
            raise ItemError(f"{item['name']!r} is not a database name")
        return {}
    if not item["password"]:
        raise ItemError("a user needs a password")
    privileges = {level: sorted(map(str, some)) for level, some in item["privileges"].items() if some}
    for level, some in privileges.items():
        if not LEVEL.fullmatch(level):
            raise ItemError(f"{level!r} is not a level such as database.*")
        for privilege in some:
            if not PRIVILEGE.fullmatch(privilege):
                raise ItemError(f"{privilege!r} is not a privilege")
    return {"password": SAME, "require_tls": item["require_tls"], "privileges": privileges}


def statements(step):
    """List the statements of one step, each with its arguments."""
    if step.item["kind"] == "database":
        return [(f"CREATE DATABASE IF NOT EXISTS `{step.item['name']}`", ())]
    user = (step.item["name"], step.item["host"])
    if step.action == "delete":
        return [("DROP USER IF EXISTS %s@%s", user)]
    listed = []
    if step.changes("password") or step.changes("require_tls"):
        verb = "CREATE USER IF NOT EXISTS" if step.action == "create" else "ALTER USER"
        require = "SSL" if step.want["require_tls"] else "NONE"
        definition = (*user, hashed(step.item["password"]))
        listed.append((f"{verb} %s@%s IDENTIFIED BY PASSWORD %s REQUIRE {require}", definition))
    return listed + _rights(step, user)


def _rights(step, user):
    have = {} if step.have is None else step.have["privileges"]
    listed = []
    for level in sorted({*have, *step.want["privileges"]}):
        old, new = set(have.get(level, [])), set(step.want["privileges"].get(level, []))
        gone = old - new if ALL not in new else old & {"GRANT OPTION"} - new
        # Revoking ALL PRIVILEGES also revokes the privileges to keep, which the next statements grant again.
        added = new if ALL in gone else new - old
        place = quoted(level).replace("%", "%%")
        listed += [(f"REVOKE {privilege} ON {place} FROM %s@%s", user) for privilege in sorted(gone)]
        if added:
            listed.append((f"GRANT {', '.join(sorted(added))} ON {place} TO %s@%s", user))
    return listed


def main():
    """Converge databases and users."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    # In check mode, the server may not run yet.
    server = Server(may_lack_server=module.check_mode)
    databases = [
        {"id": f"database {name}", "kind": "database", "name": name, "state": "present"}
        for name in module.params["databases"]
    ]
    users = [dict(user, id="user {name}@{host}".format(**user), kind="user") for user in module.params["users"]]
    converge(
        module,
        items=databases + users,
        read=server.read,
        want=want,
        apply=each({"create": server.write, "update": server.write, "delete": server.write}),
        commands=server.commands,
    )


if __name__ == "__main__":
    main()
