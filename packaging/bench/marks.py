"""The clock's stop: a fifo into which each measured process writes one byte as the first thing it does."""

import os
import select
import time
from pathlib import Path

import host

# What runs in every measured container, whoever starts it.
SCRIPT = "echo >/marks/fifo; exec sleep 100000"
COMMAND = ["sh", "-c", SCRIPT]


class Marks:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        os.mkfifo(self.folder / "fifo")
        # Opened for writing too, so that it never reads as ended.
        self.fd = os.open(self.folder / "fifo", os.O_RDWR | os.O_NONBLOCK)

    def wait(self, count, seconds):
        """Waits for `count` bytes; answers the instant of the last."""
        seconds *= host.SLOWER
        deadline = time.monotonic() + seconds
        while count > 0:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise RuntimeError(f"{count} processes did not begin within {seconds} s")
            count -= len(os.read(self.fd, count))
        return time.monotonic()

    def close(self):
        os.close(self.fd)
