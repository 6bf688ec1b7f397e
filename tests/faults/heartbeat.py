"""What trainings that are to be killed have in common: they are slow, and say all the time where they are."""

import os
import time


class Heartbeat:
    """A file that holds the last beat: ``epoch what count``, counted from the beginning of the epoch."""

    def __init__(self, path):
        self.file = os.open(path, os.O_CREAT | os.O_WRONLY)
        self.epoch = self.count = 0

    def beat(self, what):
        self.count += 1
        os.pwrite(self.file, f"{self.epoch} {what} {self.count}".ljust(40).encode(), 0)

    def slowed(self, kind):
        """Returns a method like ``kind`` that beats and rests in every step."""
        heart = self

        class Victim(kind):
            def enter_epoch(self, epoch):
                heart.epoch, heart.count = epoch, 0
                super().enter_epoch(epoch)

            def forward(self, batch):
                heart.beat("step")
                time.sleep(0.02)
                return super().forward(batch)

        return Victim
