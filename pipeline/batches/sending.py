"""What the host knows, sent to a device without waiting for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def send(values: np.ndarray, device: torch.device) -> Tensor:
    """Returns an array on the device; a GPU takes it from pinned memory, behind what it is busy with."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def send_together(columns: Mapping[str, np.ndarray], device: torch.device) -> dict[str, Tensor]:
    """Returns arrays ``[B]`` or ``[B, n]`` on the device, of which a GPU is sent one copy.

    They travel as the narrowest type that holds all of them: whole numbers beside float64 must be below 2 ** 53.
    """
    if device.type != "cuda":
        return {name: send(values, device) for name, values in columns.items()}
    wide = [values.reshape(len(values), -1) for values in columns.values()]
    parts = send(np.concatenate(wide, axis=1), device).split([values.shape[1] for values in wide], dim=1)
    return {
        name: part.reshape(values.shape).to(torch.from_numpy(values).dtype)
        for (name, values), part in zip(columns.items(), parts, strict=True)
    }
