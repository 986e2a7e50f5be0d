#!/usr/bin/python
"""A host that is a directory: a server is a file, and two simultaneous runs for one server are detected."""

import fcntl
import json
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

SECONDS = 0.02


def converge(directory, item):
    """Create or remove one server's file; it holds a lock for a moment, to detect simultaneous runs."""
    path = directory / "servers" / item["id"]
    with (directory / "locks" / item["id"]).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            (directory / "two-at-once").touch()
            return {"id": item["id"], "changed": False, "error": "two at once"}
        time.sleep(SECONDS)
        before = path.exists()
        if item["state"] == "present":
            path.write_text(json.dumps({"name": item["name"], "power": item["power"]}))
        else:
            path.unlink(missing_ok=True)
    present = item["state"] == "present"
    return {"id": item["id"], "changed": before != present, "status": "running" if present else "absent"}


def main():
    module = AnsibleModule({"directory": {"type": "path"}, "servers": {"type": "list", "elements": "dict"}})
    directory = Path(module.params["directory"])
    results = [converge(directory, item) for item in module.params["servers"]]
    module.exit_json(changed=any(result["changed"] for result in results), results=results)


if __name__ == "__main__":
    main()
