"""What a person sees of long work: lines on stderr, which a log can keep."""

from __future__ import annotations

import sys
import time

SECONDS_BETWEEN_LINES = 5.0


class ProgressLine:
    """Tells stderr how far the work is, every few seconds; work of a few seconds stays silent."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._started = self._printed = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Notes that ``done`` of ``total`` steps are done."""
        now = time.monotonic()
        if now - self._printed > SECONDS_BETWEEN_LINES and 0 < done < total:
            left = (now - self._started) * (total - done) / done
            print(f"{self._what}: {done} of {total}, {duration(left)} left", file=sys.stderr, flush=True)
            self._printed = now


def duration(seconds: float) -> str:
    """Returns a length of time as people write it.

    >>> duration(7.4), duration(83), duration(7260)
    ('7 s', '1:23 min', '2:01 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
