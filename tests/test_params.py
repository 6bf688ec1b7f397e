"""Every block that params.yaml ships can be read and built, and says nothing twice."""

from pathlib import Path

import pytest
import torch
import yaml

from pipeline import config, experiments
from pipeline.datasets import reader as readers
from pipeline.datasets.prepare import PrepareParams, settings_of, split_of
from pipeline.jobs.resources import ResourcesParams, resources_of
from pipeline.methods.registry import METHODS, find
from pipeline.scoring.comparison import EvaluationParams
from pipeline.scoring.references import ReferencesParams
from pipeline.training.experiment import ExperimentParams
from pipeline.tuning.plan import start_values
from pipeline.tuning.space import TuneParams, read_space

FILE = Path(__file__).parents[1] / "params.yaml"
TREE = config.load(FILE)
EXPERIMENTS = experiments.experiments(TREE)
RECIPES = [name for name in TREE["recipes"] if {"method", "seed"} <= experiments.resolve_recipe(TREE, name).keys()]
"""The whole ones; the others are parts of them."""


@pytest.mark.parametrize("name", experiments.data_sets(TREE))
def test_every_data_set_can_be_read(name):
    params = config.parse(PrepareParams, experiments.resolve_data(TREE, name), f"data.{name}")
    one = split_of(params, 1) if params.splits > 1 else params
    config.parse(readers.find(params.reader["kind"]).Settings, settings_of(one), f"data.{name}.reader")


def test_every_reader_has_a_data_set():
    used = {experiments.resolve_data(TREE, name)["reader"]["kind"] for name in experiments.data_sets(TREE)}
    assert used == set(readers.names())


def check(name, block, data):
    params = config.parse(ExperimentParams, block, name)
    kind = find(params.method)
    settings = config.parse(kind.params_type, params.settings, f"{name}.settings")
    with torch.device("meta"):
        method = kind(settings, num_classes=10, height=data["height"], width=data["width"], seed=params.seed)
        assert method.cameras  # goes into the stamp
    assert method.groups == params.settings["batch"]["groups"]
    assert resources_of(TREE, name)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_can_be_built_on_its_data(name):
    data = experiments.resolve_data(TREE, EXPERIMENTS[name]["data"])
    for trial in experiments.trials(TREE, name):
        check(name, experiments.resolve(TREE, trial), data)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_can_be_built_on_a_folder_of_ones_own(recipe):
    name = f"{recipe}@my_people"
    data = {"height": 384, "width": 192}  # MDPR's stripes want more rows than 128 pixels have
    check(name, experiments.resolve_experiment(TREE, name), data)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_paper_of_an_experiment_is_the_folder_of_its_method(name):
    method = experiments.resolve_experiment(TREE, name)["method"]
    assert METHODS[method].startswith(f"pipeline.methods.{EXPERIMENTS[name]['paper']}.")


@pytest.mark.parametrize("name", TREE["studies"]["searches"])
def test_every_search_fits_its_experiment(name):
    declared, where = TREE["studies"]["searches"][name], f"studies.searches.{name}"
    params = config.parse(TuneParams, experiments.resolve_search(TREE, name), where)
    block = experiments.resolve_experiment(TREE, params.experiment)
    assert declared["of"] == {
        "experiment": params.experiment,
        **{key: EXPERIMENTS[params.experiment][key] for key in ("paper", "data")},
    }
    base = config.overlaid(config.overlaid(block, params.first, where), params.fidelity, where)
    space = read_space(params.space, where)
    assert start_values(space, base, find(block["method"]), params, where).keys() == space.keys()


def test_resources_are_those_of_an_experiment_or_a_recipe():
    known = {"default", "searches", *EXPERIMENTS, *TREE["recipes"]}
    assert TREE["resources"].keys() <= known
    for name in TREE["resources"].keys() - {"default"}:
        block = experiments.resolve_resources(TREE, f"{name}@people" if name in TREE["recipes"] else name)
        assert config.parse(ResourcesParams, block, name)


def test_the_stages_blocks_can_be_read():
    config.parse(EvaluationParams, TREE["evaluation"], "evaluation")
    references = config.parse(ReferencesParams, TREE["references"], "references")
    assert references.pretrained in TREE["starts"]


def test_there_is_neither_an_anchor_nor_an_alias():
    events = yaml.parse(FILE.read_text(), yaml.CSafeLoader)
    assert not [event for event in events if getattr(event, "anchor", None)]


def own_leaves(block, path=()):
    """Yields the paths of the values of a block, lists as one value."""
    for key, value in block.items():
        if isinstance(value, dict) and value:
            yield from own_leaves(value, (*path, key))
        else:
            yield (*path, key)


def without(block, path):
    key, *rest = path
    if rest:
        return {**block, key: without(block[key], rest)}
    return {name: value for name, value in block.items() if name != key}


def blocks_that_change_others():
    """Yields (place of a block, its paths): what an entry that is like others, or made of a recipe, says itself."""
    sections = {"data": TREE["data"], "recipes": TREE["recipes"]}
    for section, blocks in sections.items():
        for name, block in blocks.items():
            if "like" in block:
                yield pytest.param((section, name), list(own_leaves(without(block, ["like"]))), id=f"{section}.{name}")


@pytest.mark.parametrize(("place", "paths"), blocks_that_change_others())
def test_a_block_says_only_what_differs_from_those_that_it_is_like(place, paths):
    section, name = place
    whole = experiments.whole(TREE[section], name, section)
    for path in paths:
        smaller = {**TREE[section], name: without(TREE[section][name], path)}
        assert experiments.whole(smaller, name, section) != whole, f"{'.'.join([*place, *path])} says nothing"


@pytest.mark.parametrize("name", [name for name, own in EXPERIMENTS.items() if own.get("change")])
def test_a_change_says_only_what_differs_from_its_recipe(name):
    plain = experiments.resolve_experiment(config.overlaid(TREE, changed(name, None), "", adds=True), name)
    for path in own_leaves(EXPERIMENTS[name]["change"]):
        value = config.block(experiments.resolve_experiment(TREE, name), *path)
        before = plain
        for key in path:
            before = before.get(key) if isinstance(before, dict) else None
        assert value != before, f"{name}: change.{'.'.join(path)} says nothing"


def changed(name, change):
    """Returns the patch of params.yaml that gives an experiment another change."""
    for path in (("starts",), ("experiments",), ("students",), *(("studies", key) for key in experiments.STUDIES)):
        if name in config.block(TREE, *path):
            patch = {name: {"change": change}}
            for key in reversed(path):
                patch = {key: patch}
            return patch
    raise AssertionError(name)


def test_params_yaml_is_stored_as_dvc_writes_it(tmp_path):
    from dvc.utils.serialize import modify_yaml

    copy = tmp_path / "params.yaml"
    copy.write_bytes(FILE.read_bytes())
    with modify_yaml(str(copy)):
        pass
    assert copy.read_bytes() == FILE.read_bytes()
