#!/usr/bin/env python3
"""Send requests to a URL, run a command meanwhile, and print failures and the longest time without an answer.

probe.py URL AUTHORITY SECONDS [COMMAND...]
"""

import http.client
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

TIMEOUT = 3
PAUSE = 0.05


def ask(url, context):
    """Send one request on a new connection; return the times of request and answer, and the error or None."""
    sent = time.monotonic()
    connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=TIMEOUT, context=context)
    try:
        connection.request("GET", url.path)
        answer = connection.getresponse()
        answer.read()
        error = None if answer.status == 200 else str(answer.status)
    except (OSError, http.client.HTTPException) as failure:
        error = f"{type(failure).__name__}: {failure}"
    finally:
        connection.close()
    return sent, time.monotonic(), error


def main():
    """Probe."""
    url, authority, seconds, *command = sys.argv[1:]
    url, context, begin = urllib.parse.urlsplit(url), ssl.create_default_context(cafile=authority), time.monotonic()
    if command:
        threading.Timer(1, subprocess.run, [command], {"check": True}).start()
    with ThreadPoolExecutor(max_workers=80) as pool:
        asked = []
        while time.monotonic() < begin + float(seconds):
            asked.append(pool.submit(ask, url, context))
            time.sleep(PAUSE)
    outcomes = sorted(future.result() for future in asked)
    failures = [(round(sent - begin, 2), error) for sent, _, error in outcomes if error]
    answers = sorted(answered for _, answered, error in outcomes if not error)
    silence = max(after - before for before, after in zip([begin, *answers], [*answers, outcomes[-1][1]], strict=True))
    slowest = max(answered - sent for sent, answered, error in outcomes if not error)
    print(
        json.dumps(
            {
                "requests": len(outcomes),
                "failed": len(failures),
                "failures": failures[:5],
                "silence": round(silence, 2),
                "slowest": round(slowest, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
