# What bench/arming.ts runs in gdb: attach, set breakpoints, have them inserted. TRAPLINE_BENCH is "PID NAME", or
# "PID /REGEX" for all functions that match. Prints `armed {...}`, waits for a line on standard input, detaches.
import json
import os
import sys
import time

import gdb


def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


PID, WHERE = os.environ["TRAPLINE_BENCH"].split()
start = time.monotonic()
gdb.execute("attach " + PID, to_string=True)
attached = time.monotonic()
if WHERE.startswith("/"):
    gdb.execute("rbreak " + WHERE[1:], to_string=True)
else:
    gdb.execute("break " + WHERE, to_string=True)
# Without this they would be written at the next `continue`. Before rbreak it would write all of them again for each.
gdb.execute("set breakpoint always-inserted on")
gdb.execute("enable breakpoints")  # makes gdb look again at what should be inserted
armed = time.monotonic()
print("armed " + json.dumps({
    "attachMs": (attached - start) * 1e3,
    "armMs": (armed - attached) * 1e3,
    "sites": len(gdb.breakpoints()),
    "residentBytes": status("VmRSS"),
    "peakBytes": status("VmHWM"),
}), flush=True)
sys.stdin.readline()
gdb.execute("detach", to_string=True)
print("done hits=0", flush=True)
