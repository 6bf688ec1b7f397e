"""Torch's own random numbers, made a function of where the training is."""

from __future__ import annotations

import hashlib

import torch


def seed_group(seed: int, epoch: int, step: int, group: int) -> None:
    """Seeds torch before a group runs, so that random layers do not depend on the worker that runs it."""
    place = hashlib.blake2b(repr((seed, epoch, step, group)).encode(), digest_size=8)
    torch.manual_seed(int.from_bytes(place.digest(), "little") >> 1)
