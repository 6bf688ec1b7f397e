"""Every block that params.yaml ships can be read and built."""

from pathlib import Path

import pytest
import torch

from pipeline import config
from pipeline.datasets import reader as readers
from pipeline.datasets.prepare import PrepareParams
from pipeline.datasets.readers import regdb
from pipeline.jobs.resources import ResourcesParams, resources_of
from pipeline.methods.registry import find
from pipeline.scoring.comparison import EvaluationParams
from pipeline.scoring.references import ReferencesParams
from pipeline.training.experiment import ExperimentParams
from pipeline.tuning.overlay import overlaid
from pipeline.tuning.plan import start_values
from pipeline.tuning.space import TuneParams, read_space

TREE = config.load(Path(__file__).parents[1] / "params.yaml")


@pytest.mark.parametrize("name", TREE["prepare"])
def test_every_data_set_can_be_read(name):
    params = config.parse(PrepareParams, TREE["prepare"][name], f"prepare.{name}")
    config.parse(readers.find(params.reader).Settings, params.settings, f"prepare.{name}.settings")


def test_every_data_set_has_an_experiment():
    used = {TREE["prepare"][experiment["data"]]["reader"] for experiment in TREE["experiments"].values()}
    assert used == set(readers.names())


def test_each_split_of_regdb_has_a_block_that_differs_in_the_split_alone():
    blocks = {name: block for name, block in TREE["prepare"].items() if block["reader"] == "regdb"}
    splits = [block["settings"]["trial"] for block in blocks.values()]
    assert splits == list(range(1, regdb.TRIALS + 1))
    assert list(blocks) == [f"regdb_{split}_288x144" for split in splits]
    assert len({repr({**block, "settings": None}) for block in blocks.values()}) == 1


@pytest.mark.parametrize("name", TREE["experiments"])
def test_every_experiment_can_be_built_on_its_data(name):
    params = config.parse(ExperimentParams, TREE["experiments"][name], f"experiments.{name}")
    kind = find(params.method)
    settings = config.parse(kind.params_type, params.settings, f"experiments.{name}.settings")
    data = TREE["prepare"][params.data]
    with torch.device("meta"):
        method = kind(settings, num_classes=10, height=data["height"], width=data["width"], seed=params.seed)
        assert method.cameras  # goes into the stamp
    assert method.groups == params.settings["batch"]["groups"]
    assert resources_of(TREE, name)


@pytest.mark.parametrize("name", TREE["tune"])
def test_every_search_fits_its_experiment(name):
    params, where = config.parse(TuneParams, TREE["tune"][name], f"tune.{name}"), f"tune.{name}"
    experiment = TREE["experiments"][params.experiment]
    base = overlaid(overlaid(experiment, params.start, where), params.fidelity, where)
    space = read_space(params.space, where)
    assert start_values(space, base, find(experiment["method"]), params, where).keys() == space.keys()
    assert resources_of(TREE, "tune")


def test_resources_are_those_of_an_experiment_or_of_a_search():
    assert TREE["resources"].keys() - {"default", "tune"} <= TREE["experiments"].keys()
    for name, block in TREE["resources"].items():
        assert resources_of(TREE, f"{name}_seed2") == config.parse(ResourcesParams, block, f"resources.{name}")


def test_the_stages_blocks_can_be_read():
    config.parse(EvaluationParams, TREE["evaluation"], "evaluation")


@pytest.mark.parametrize("name", TREE["references"])
def test_references_are_of_a_data_set_and_a_training(name):
    references = config.parse(ReferencesParams, TREE["references"][name], f"references.{name}")
    assert name in TREE["prepare"]
    assert references.pretrained in TREE["experiments"]
