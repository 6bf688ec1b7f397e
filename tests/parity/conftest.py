"""The rules by which the reference networks of tests/golden were filled and shown images (see its README)."""

import numpy as np
import pytest
import torch


def mix(x: np.ndarray) -> np.ndarray:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor) & np.uint64(0xFFFFFFFF)
    return x ^ (x >> np.uint64(16))


def noise(key: int, size: int) -> np.ndarray:
    start = mix(np.array([key + 1], dtype=np.uint64))
    return mix(np.arange(size, dtype=np.uint64) + start & np.uint64(0xFFFFFFFF)) / 2.0**31 - 1


def entry(key: int, name: str, shape: list[int]) -> torch.Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    size = int(np.prod(shape))
    v = noise(key, size)
    if name.endswith("running_mean"):
        values = 0.1 * v
    elif name.endswith("running_var"):
        values = 1 + 0.5 * np.abs(v)
    elif name.endswith(".p"):
        values = 3 + 0.1 * v
    elif name.endswith("bias"):
        values = 0.1 * v
    elif len(shape) == 1:
        values = 1 + 0.1 * v
    else:
        values = v * np.sqrt(3 / np.prod(shape[1:]))
    return torch.from_numpy(values.reshape(shape))


class Rules:
    noise = staticmethod(noise)

    @staticmethod
    def state(entries: list, salt: int = 0) -> dict[str, torch.Tensor]:
        return {name: entry(salt + key, name, shape) for key, (name, shape, _) in enumerate(entries)}

    @staticmethod
    def images(shape: list[int], first: int = 0) -> torch.Tensor:
        b, c, h, w = np.ogrid[tuple(slice(size) for size in shape)]
        b = b + first
        waves = 0.7 * np.cos(0.9 * b + 1.7 * c + 0.11 * (b + 1) * h - 0.07 * (b + c + 1) * w)
        return torch.from_numpy(waves + 0.3 * noise(900000, int(np.prod(shape))).reshape(shape))

    @staticmethod
    def probe(tensor: torch.Tensor) -> np.ndarray:
        flat = tensor.detach().contiguous().numpy().ravel()
        return np.array([flat.mean(), np.linalg.norm(flat), flat @ noise(800000, flat.size)])


@pytest.fixture(scope="session")
def rules() -> Rules:
    return Rules()
