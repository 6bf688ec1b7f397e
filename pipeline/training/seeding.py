"""Torch's own random numbers, made a function of where the training is."""

from __future__ import annotations

import hashlib

import torch


def seed_everything(seed: int) -> None:
    """Seeds torch on all devices, for building a network."""
    torch.manual_seed(_mix("build", seed))


def seed_group(seed: int, epoch: int, step: int, group: int) -> None:
    """Seeds torch before a group runs, so that random layers do not depend on the worker that runs it."""
    torch.manual_seed(_mix("group", seed, epoch, step, group))


def _mix(*parts: str | int) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest(), "little") >> 1
