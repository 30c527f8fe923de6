# What bench/trap.ts runs in gdb: a breakpoint whose stop() counts and returns False, so that the target goes
# on at once. TRAPLINE_BENCH is "ADDRESS empty|args"; prints hits, and for args the sums hot.c can be compared with.
import os

import gdb

ADDRESS, MODE = os.environ["TRAPLINE_BENCH"].split()


class Empty(gdb.Breakpoint):
    hits = 0
    total = 0
    strings = 0

    def stop(self):
        self.hits += 1
        return False


class Args(Empty):
    def stop(self):
        self.hits += 1
        frame = gdb.selected_frame()
        text = int(frame.read_register("rdi"))
        self.total += int(frame.read_register("rsi"))
        data = bytes(gdb.selected_inferior().read_memory(text, 64))
        if data.index(0) == 43:
            self.strings += 1
        return False


breakpoint = (Args if MODE == "args" else Empty)("*" + ADDRESS)
gdb.execute("continue")
print("hits=%d sum=%d strings=%d" % (breakpoint.hits, breakpoint.total, breakpoint.strings))
