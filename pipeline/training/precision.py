"""The number formats a network trains in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Choice = Literal["auto", "float64", "float32", "bfloat16", "float16"]


def resolve(choice: Choice, device: torch.device) -> str:
    """Returns the format to train in: ``auto`` is bfloat16 where the GPU has it, else float16; float32 on a CPU.

    float16, which papers name, is float32 on a CPU too: its convolutions in float16 took 26 times as long.
    """
    if device.type != "cuda" and choice in ("auto", "float16"):
        return "float32"
    if choice != "auto":
        return choice
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


def use_plain_float32() -> None:
    """Makes float32 mean float32 in this process: by default GPUs round the factors of convolutions to TF32."""
    torch.backends.cudnn.allow_tf32 = False


def storage_dtype(precision: str) -> torch.dtype:
    """Returns the dtype that parameters and images are held in."""
    return torch.float64 if precision == "float64" else torch.float32


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Returns the context in which the forward pass runs."""
    if precision in ("bfloat16", "float16"):
        return torch.autocast(device.type, dtype=getattr(torch, precision))
    return nullcontext()
