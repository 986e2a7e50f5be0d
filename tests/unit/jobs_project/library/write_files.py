#!/usr/bin/python
"""What the tests' jobs do: write a file an item, perhaps slowly, perhaps not at all."""

import json
import os
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule


def write(item):
    """Write one file; tell who is at it meanwhile, so that a second one at the same time shows."""
    path = Path(item["directory"], f"file-{item['id']}")
    busy, pid = Path(f"{path}.busy"), Path(f"{path}.pid")
    result = {"id": item["id"], "changed": False}
    if item.get("error"):
        return dict(result, error=item["error"])
    try:
        busy.touch(exist_ok=False)
    except FileExistsError:
        # A run that was killed left it, unless its process lives.
        if pid.exists() and Path("/proc", pid.read_text()).exists():
            return dict(result, error="two at once")
    pid.write_text(str(os.getpid()))
    time.sleep(item.get("seconds", 0))
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
