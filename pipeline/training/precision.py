"""The number formats a network trains in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

CHOICES = ("auto", "float64", "float32", "bfloat16", "float16")


def resolve(choice: str, device: torch.device) -> str:
    """Returns the format to train in: ``auto`` is bfloat16 where the GPU has it, else float16; float32 on a CPU."""
    if choice not in CHOICES:
        raise ValueError(f"precision: expected one of {', '.join(CHOICES)}, got {choice!r}")
    if choice != "auto":
        return choice
    if device.type != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"


def storage_dtype(precision: str) -> torch.dtype:
    """Returns the dtype that parameters and images are held in."""
    return torch.float64 if precision == "float64" else torch.float32


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Returns the context in which the forward pass runs."""
    if precision in ("bfloat16", "float16"):
        return torch.autocast(device.type, dtype=getattr(torch, precision))
    return nullcontext()
