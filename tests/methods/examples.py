"""Small trainings of every method, by which suites try them: ``EXAMPLES`` of ``tests/methods/FOLDER/examples.py``.

A folder of ``pipeline/methods`` has its examples in the folder of the same name here. Whoever adds a method adds these,
and edits nobody else's test.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.methods.registry import METHODS, find
from pipeline.training.method import Method
from tests.noise import changed
from tests.training.toy import IS_INFRARED

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Example:
    """A method with all its switches on, a tiny network, and four groups in a batch.

    Attributes:
        block: an experiment on the noise of tests/noise.py, as params.yaml has one.
        complete: gives a method that was built what no file does here, as a teacher.
        is_variant: whether it is another example with some of its switches off; slow suites leave it out.
        several_steps: settings by which an epoch has several steps; ``batch__groups`` is groups of the block ``batch``.
        stops: where it is interrupted, to go on bit for bit: how many epochs, in which of them (from 0), after which of
            its steps (from 1). What begins late, or happens once, should lie on either side of one.
    """

    block: dict[str, Any]
    complete: Callable[[Method], None] | None = None
    is_variant: bool = False
    several_steps: dict[str, Any] = field(default_factory=lambda: {"batch__groups": 2})
    stops: tuple[tuple[int, int, int], ...] = ((2, 1, 1),)

    def build(self, **changes: Any) -> Method:
        """Returns the method, ready to train on the 48 images of tests/training/toy.py."""
        kind = find(self.block["method"])
        params = kind.params_type.model_validate(changed(self.block["settings"], **changes))
        num_classes = 6 if kind.supervision == "supervised" else 1
        method = kind(params, num_classes=num_classes, height=32, width=16, seed=3)
        if self.complete:
            self.complete(method)
        method.begin_training(np.arange(48) % 3, IS_INFRARED, {})
        return method


def file_of(method: str) -> Path:
    """Returns where the examples of a method belong."""
    folder = METHODS[method].split(".")[2]
    return HERE / folder / "examples.py"


@cache
def examples() -> dict[str, Example]:
    """Returns all examples by their names; test_registry.py finds a method without any."""
    files = dict.fromkeys(file for file in map(file_of, METHODS) if file.is_file())
    modules = [importlib.import_module(f"tests.methods.{file.parent.name}.examples") for file in files]
    return {name: example for module in modules for name, example in module.EXAMPLES.items()}


def each_example(*, variants: bool = True) -> pytest.MarkDecorator:
    """Returns the mark by which a test is run for the name of every example, with variants or without."""
    return pytest.mark.parametrize("name", [name for name in examples() if variants or not examples()[name].is_variant])
