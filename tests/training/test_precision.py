from typing import get_args

import pytest
import torch

from pipeline.training.precision import Choice, autocast, resolve, storage_dtype

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("choice", ["auto", "float16"])
def test_auto_and_float16_are_float32_on_a_cpu(choice):
    assert resolve(choice, CPU) == "float32"


@pytest.mark.parametrize(("has_bfloat16", "expected"), [(True, "bfloat16"), (False, "float16")])
def test_auto_is_bfloat16_on_a_gpu_that_has_it(monkeypatch, has_bfloat16, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16)
    assert resolve("auto", GPU) == expected


@pytest.mark.parametrize("choice", [choice for choice in get_args(Choice) if choice != "auto"])
@pytest.mark.parametrize("device", [CPU, GPU])
def test_a_format_that_is_named_is_taken_but_for_float16_on_a_cpu(choice, device):
    assert resolve(choice, device) == ("float32" if (choice, device) == ("float16", CPU) else choice)


@pytest.mark.parametrize("precision", [choice for choice in get_args(Choice) if choice != "auto"])
def test_weights_are_held_in_float32_or_more_while_products_follow_the_format(precision):
    dtype = storage_dtype(precision)
    assert dtype == (torch.float64 if precision == "float64" else torch.float32)
    layer = torch.nn.Linear(4, 4).to(dtype)
    with autocast(precision, CPU):
        output = layer(torch.ones(2, 4, dtype=dtype))
    assert output.dtype == getattr(torch, precision)
    assert layer.weight.dtype == dtype
