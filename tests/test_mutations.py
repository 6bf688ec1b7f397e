"""Every leaf of every experiment, replaced by what nobody means: a sentence, and never a traceback."""

import contextlib
import copy
import math
from pathlib import Path

import pytest

from pipeline.config import load, parse
from pipeline.experiments import declaration, experiments, resolve, resolve_data, resolve_recipe, trial
from pipeline.methods.registry import find
from pipeline.training.experiment import ExperimentParams

TREE = load(Path(__file__).parents[1] / "params.yaml")
BLOCKS = {name: resolve(TREE, trial(TREE, name)) for name in experiments(TREE)}
ODD = [None, True, -1, 0, 10**9, "", "a", [], ["a"], {}, {"a": 1}, 5, 0.5]


def read(block):
    """Reads an experiment's block, as a training does before it begins."""
    kind = find(block["method"])
    params = parse(ExperimentParams, block, "experiments.x")
    parse(kind.params_type, params.settings, "experiments.x.settings")


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, (*path, place))
    else:
        yield path, value


def replaced(block, path, value):
    new = copy.deepcopy(block)
    here = new
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return new


@pytest.mark.parametrize("name", BLOCKS)
def test_a_number_that_is_none_or_far_too_large_is_refused_wherever_it_stands(name):
    numbers = [path for path, value in leaves(BLOCKS[name]) if type(value) in (int, float)]
    assert len(numbers) > 10
    for path in numbers:
        for value in (1e30, -1e30, 10**30, math.inf, -math.inf, math.nan):
            with pytest.raises(ValueError, match=r"params\.yaml does not fit") as refused:
                read(replaced(BLOCKS[name], path, value))
            assert ".".join(map(str, path)) in str(refused.value)


@pytest.mark.parametrize("name", BLOCKS)
def test_any_other_value_is_taken_or_refused_by_a_sentence(name):
    for path, _ in leaves(BLOCKS[name]):
        for value in ODD:
            with contextlib.suppress(ValueError):
                read(replaced(BLOCKS[name], path, value))


@pytest.mark.parametrize("key", ["recipe", "paper", "data", "change", "seeds", "teacher"])
def test_a_declaration_of_an_experiment_is_taken_or_refused_by_a_sentence(key):
    for value in ODD:
        tree = copy.deepcopy(TREE)
        tree["experiments"]["mdpr"][key] = value
        with contextlib.suppress(ValueError):
            read(resolve(tree, trial(tree, "mdpr")))


@pytest.mark.parametrize("value", [5, ["a"], None, "x"])
def test_an_experiment_or_recipe_that_is_no_block_is_said_to_be_none(value):
    for section in ("experiments", "recipes"):
        tree = copy.deepcopy(TREE)
        tree[section]["mdpr"] = value
        with pytest.raises(ValueError, match="expected a block of keys"):
            resolve(tree, trial(tree, "mdpr"))


@pytest.mark.parametrize("name", ["<script>", "=1+1", "+1", "-1", "@x", "a|b", "../x", "a b", "", "\u00e9"])
def test_a_name_that_is_a_formula_a_tag_or_a_path_is_refused_at_the_door(name):
    tree = copy.deepcopy(TREE)
    tree["experiments"][name] = tree["experiments"]["mdpr"]
    tree["recipes"][name] = tree["recipes"]["mdpr"]
    tree["data"][name] = tree["data"]["people"]
    for read_block in (declaration, resolve_recipe, resolve_data):
        with pytest.raises(ValueError, match=r"a name is of letters, digits and _, then also \. \+ @ and -"):
            read_block(tree, name)
