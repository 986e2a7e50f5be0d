#!/usr/bin/python
"""What the tests' jobs do: write a file an item, perhaps slowly, perhaps not at all."""

import json
import os
import time

from ansible.module_utils.basic import AnsibleModule


def write(item):
    """Write one file; tell who is at it meanwhile, so that a second one at the same time shows."""
    path = os.path.join(item["directory"], "file-" + item["id"])
    result = {"id": item["id"], "changed": False}
    if item.get("error"):
        return dict(result, error=item["error"])
    try:
        os.close(os.open(path + ".busy", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        # A run that was killed left it, unless its process lives.
        if os.path.exists("/proc/" + open(path + ".pid").read()):
            return dict(result, error="two at once")
    with open(path + ".pid", "w") as file:
        file.write(str(os.getpid()))
    time.sleep(item.get("seconds", 0))
    with open(path, "w") as file:
        json.dump(item.get("data"), file)
    os.remove(path + ".busy")
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
