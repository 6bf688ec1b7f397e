"""Losses and gradients of public reference code, as tests compare with them (tests/golden/README.md)."""

from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parent / "golden" / "losses.npz"


class Golden:
    def __init__(self) -> None:
        self.entries = {name: torch.from_numpy(value) for name, value in np.load(GOLDEN).items()}

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.entries[name]

    def trained(self, name: str) -> torch.Tensor:
        return self.entries[name].clone().requires_grad_()

    def assert_equal(self, name: str, loss: torch.Tensor, **inputs: torch.Tensor) -> None:
        torch.testing.assert_close(loss.detach(), self.entries[name], rtol=1e-6, atol=0)
        for (input_name, _), gradient in zip(
            inputs.items(), torch.autograd.grad(loss, list(inputs.values())), strict=True
        ):
            expected = self.entries[f"{name}__grad_{input_name}"]
            torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-12)
