"""docs/api.md shows each function with the signature it has, and examples that give what stands below them."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

from pipeline.evaluation import labels

FILE = Path(__file__).parents[1] / "docs" / "api.md"
PAGE = FILE.read_text()
SIGNATURES = re.findall(r"```text\n(pipeline\.[\w.]+)(\(.*?)\n```", PAGE, flags=re.DOTALL)
PACKAGES = ("evaluation", "neighbors", "clustering")


def shown(default):
    if isinstance(default, labels.CameraRule):
        (name,) = (name for name, rule in vars(labels).items() if rule is default)
        return name
    return f'"{default}"' if isinstance(default, str) else repr(default)


def signature(function):
    parameters, is_named = [], False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not is_named:
            parameters.append("*")
            is_named = True
        has_default = parameter.default is not parameter.empty
        parameters.append(parameter.name + (f"={shown(parameter.default)}" if has_default else ""))
    return f"({', '.join(parameters)}) -> {inspect.signature(function).return_annotation}"


@pytest.mark.parametrize(("name", "given"), SIGNATURES, ids=[name for name, _ in SIGNATURES])
def test_signatures_are_those_of_the_code(name, given):
    module, function = name.rsplit(".", 1)
    expected = signature(getattr(importlib.import_module(module), function))
    assert re.sub(r"\s", "", given) == re.sub(r"\s", "", expected)


def test_every_function_of_the_page_has_an_example_of_its_own():
    examples = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL))
    assert [name for name, _ in SIGNATURES if not re.search(rf">>> .*\b{name.rsplit('.')[-1]}\(", examples)] == []
    assert {name.split(".")[1] for name, _ in SIGNATURES} == set(PACKAGES)


def test_the_examples_give_what_stands_below_them():
    result = doctest.testfile(str(FILE), module_relative=False, optionflags=doctest.REPORT_NDIFF)
    assert result.attempted > 50
    assert result.failed == 0
