"""Ends a process group when its supervisor is gone, however it went: run as `python -I -S reaper.py`, standard library.

The supervisor holds the write end of this process's standard input and starts every child in this process's group.
When the supervisor ends (also by SIGKILL) the pipe closes, and the whole group, this process included, is killed. No
pids are passed, so none can be missed or mistaken; it needs nothing but POSIX, so it is the same on Linux and macOS.
"""

import os
import signal
import sys

for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(ending, signal.SIG_IGN)
sys.stdin.buffer.read()
os.killpg(0, signal.SIGKILL)
