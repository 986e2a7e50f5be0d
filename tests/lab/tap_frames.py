"""Sends or receives raw frames at the tap of a server that is off, as its guest would. Runs on the host.

tap_frames.py TAP send             reads frames from standard input, a line of hexadecimal digits each
tap_frames.py TAP receive LAST S   prints frames until one ends with LAST, for at most S seconds; first prints "ready"
"""

import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x2, 0x1000


def main(tap: str, action: str, last: str = "", seconds: str = "0") -> None:
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", tap.encode(), IFF_TAP | IFF_NO_PI))
    if action == "send":
        for line in sys.stdin:
            os.write(descriptor, bytes.fromhex(line))
        return
    print("ready", flush=True)
    end = time.monotonic() + float(seconds)
    while (left := end - time.monotonic()) > 0 and select.select([descriptor], [], [], left)[0]:
        frame = os.read(descriptor, 65536)
        print(frame.hex(), flush=True)
        if frame.endswith(last.encode()):
            return


main(*sys.argv[1:])
