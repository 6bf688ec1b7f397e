import pytest

from pipeline.methods.registry import METHODS, find
from pipeline.training.method import Method, MethodParams
from tests.methods.examples import HERE, examples, file_of


@pytest.mark.parametrize("name", METHODS)
def test_every_name_leads_to_a_method_with_its_parameters_and_its_supervision(name):
    kind = find(name)
    assert issubclass(kind, Method)
    assert issubclass(kind.params_type, MethodParams)
    assert kind.supervision in ("supervised", "unsupervised")


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ValueError, match=f"expected one of {', '.join(METHODS)}, got 'mdrp'"):
        find("mdrp")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_an_example_by_which_the_suites_try_it(name):
    tried = {example.block["method"] for example in examples().values()}
    assert name in tried, f"{file_of(name).relative_to(HERE.parents[1])}: no example of {name}"
