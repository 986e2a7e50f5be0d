"""A switch's database that understands the few commands that the modules send."""

import itertools
import json
import re

from ansible_collections.skywright.cloud.plugins.module_utils.converge import ItemError


class FakeOvs:
    def __init__(self, bridges):
        self.bridges = {bridge: [] for bridge in bridges}
        self.ports = {}
        self.settings = {}
        self.broken = False
        self.has_device = lambda port: True

    def __call__(self, argv):
        if self.broken:
            raise ItemError("ovs-vsctl failed (1): database connection failed")
        groups = [list(group) for dash, group in itertools.groupby(argv, lambda word: word == "--") if not dash]
        if "--format=json" in argv:
            return "\n".join(self._list(group) for group in groups[1:])
        for command in groups[1:]:
            self._change([word for word in command if word not in ("--if-exists", "--may-exist")])
        return ""

    def _change(self, command):
        name, *words = command
        if name == "add-br":
            self.bridges.setdefault(words[-1], [])
        elif name == "del-port":
            port = words[-1]
            if self.ports.pop(port, None):
                for ports in self.bridges.values():
                    ports[:] = [other for other in ports if other != port]
        elif name == "add-port":
            bridge, port, *settings = words
            if port in self.ports:
                raise ItemError(f"ovs-vsctl failed (1): cannot create a port named {port}")
            self.bridges[bridge].append(port)
            self.ports[port] = {"type": "", "options": {}, "external_ids": {}, "tag": None, "protected": False}
            self.ports[port]["ofport"] = 1 if self.has_device(port) else -1
            self._set(port, settings)
        elif name == "set" and words[0] == "Interface":
            self._set(words[1], words[2:])
        elif name == "set":
            self.settings[words[1]] = words[2:]

    def _set(self, port, settings):
        for setting in settings:
            column, key, value = re.fullmatch(r"(\w+):?([\w-]+)?=(.*)", setting).groups()
            if key:
                self.ports[port][column][key] = value
            else:
                self.ports[port][column] = {"tag": int, "protected": "true".__eq__}.get(column, str)(value)

    def _list(self, group):
        columns = group[0].split("=")[1].split(",")
        rows = getattr(self, "_" + group[2].lower())()
        return json.dumps({"headings": columns, "data": [[row[column] for column in columns] for row in rows]})

    def _bridge(self):
        for bridge, ports in self.bridges.items():
            references = [["uuid", "port " + port] for port in ports]
            cell = references[0] if len(references) == 1 else ["set", references]
            yield {"_uuid": ["uuid", bridge], "name": bridge, "ports": cell, "datapath_type": "netdev"}

    def _port(self):
        for name, port in self.ports.items():
            yield {
                "_uuid": ["uuid", "port " + name],
                "name": name,
                "tag": ["set", []] if port["tag"] is None else port["tag"],
                "external_ids": ["map", [list(pair) for pair in port["external_ids"].items()]],
                "interfaces": ["uuid", "interface " + name],
                "protected": port["protected"],
            }

    def _interface(self):
        for name, port in self.ports.items():
            options = ["map", [list(pair) for pair in port["options"].items()]]
            yield {
                "_uuid": ["uuid", "interface " + name],
                "name": name,
                "type": port["type"],
                "options": options,
                "ofport": port["ofport"],
            }
