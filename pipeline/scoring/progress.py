"""What a person sees of long work on embeddings."""

from __future__ import annotations

import sys
import time

SECONDS_BETWEEN_LINES = 5.0


class Said:
    """Tells stderr how far the work is, every few seconds; work of a few seconds stays silent."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = self._spoken = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Notes that ``done`` of ``total`` steps are done."""
        now = time.monotonic()
        if now - self._spoken > SECONDS_BETWEEN_LINES and 0 < done < total:
            left = (now - self._begun) * (total - done) / done
            print(f"{self._what}: {done / total:.0%}, {left:.0f} s left", file=sys.stderr, flush=True)
            self._spoken = now
