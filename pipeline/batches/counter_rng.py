"""Random numbers as a pure function of their place: no generator, no state, no order of calls."""

from __future__ import annotations

import hashlib

import numpy as np

GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def uniform(seed: int, stream: str, epoch: int, positions: np.ndarray, draws: int) -> np.ndarray:
    """Returns ``draws`` numbers in [0, 1) for every position, ``[B, draws]`` float64.

    A number depends on ``(seed, stream, epoch, position, index of the draw)`` alone: not on the other
    positions, on how many draws are asked for, on the process or on the platform. Streams are independent of
    each other; each user of randomness has its own name. Positions are int64 ``[B]``, not negative.

    Source: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014):
    the key of a position is the mixed counter, its draws are the generator's outputs from there.
    """
    name = f"{seed}/{stream}/{epoch}".encode()
    key = np.frombuffer(hashlib.sha256(name).digest()[:8], dtype="<u8").astype(np.uint64)
    state = _mix(key + np.asarray(positions).astype(np.uint64) * GOLDEN_GAMMA)
    steps = np.arange(1, draws + 1, dtype=np.uint64) * GOLDEN_GAMMA
    return (_mix(state[:, None] + steps) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(words: np.ndarray) -> np.ndarray:
    """Returns the words with every input bit spread over all output bits (SplitMix64's finaliser)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
