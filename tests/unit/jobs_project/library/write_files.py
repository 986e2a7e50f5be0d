#!/usr/bin/python
"""The module of the test jobs: writes one file per item, slowly or not at all if requested."""

import json
import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def write(item):
    """Write one file, with a lock file of this process meanwhile, so that a concurrent second writer is detected."""
    path = Path(item["directory"], f"file-{item['id']}")
    busy, pid = Path(f"{path}.busy"), Path(f"{path}.pid")
    result = {"id": item["id"], "changed": False}
    if item.get("error"):
        return dict(result, error=item["error"])
    try:
        busy.touch(exist_ok=False)
    except FileExistsError:
        # A killed run left it, unless its process is alive.
        if pid.exists() and Path("/proc", pid.read_text()).exists():
            return dict(result, error="two at once")
    pid.write_text(str(os.getpid()))
    time.sleep(item.get("seconds", 0))
    while "until" in item and not Path(item["until"]).exists():
        time.sleep(0.01)
    path.write_text(json.dumps(item.get("data")))
    busy.unlink()
    return dict(result, changed=True, status="written")


def main():
    module = AnsibleModule({"files": {"type": "list", "elements": "dict"}})
    if any(item.get("crash") for item in module.params["files"]):
        raise RuntimeError("planned")
    results = [write(item) for item in module.params["files"]]
    errors = [result["error"] for result in results if "error" in result]
    if errors:
        module.fail_json(msg="; ".join(errors), results=results)
    module.exit_json(changed=True, results=results)


if __name__ == "__main__":
    main()
