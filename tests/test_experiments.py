"""What params.yaml declares, resolved."""

import pytest

from pipeline import experiments

WHOLE = {
    "method": "m",
    "seed": 3,
    "seeds": 2,
    "start": "none",
    "augmentation": {"erasing": None},
    "training": {"epochs": 4, "decay": {"kind": "cosine", "final": 0.1}},
    "settings": {"first_pass": None, "student": None},
}
TREE = {
    "data": {"one": {"splits": 1}, "many": {"like": "one", "splits": 2}},
    "recipes": {
        "whole": WHOLE,
        "steps": {"training": {"decay": {"kind": "steps", "factor": 0.5}}},
        "both": {"like": "whole+steps"},
    },
    "experiments": {
        "plain": {"recipe": "whole", "paper": "m", "data": "one"},
        "split": {"recipe": "both", "paper": "m", "data": "many"},
    },
    "studies": {
        "ablations": {"part": {"recipe": "whole", "paper": "m", "data": "one", "seeds": 5, "against": "plain"}}
    },
}


def test_a_block_of_another_kind_replaces_the_one_below_it():
    assert experiments.resolve_experiment(TREE, "split")["training"]["decay"] == {"kind": "steps", "factor": 0.5}


def test_a_row_has_as_many_seeds_as_those_that_are_compared_with_it():
    assert [each.seed for each in experiments.trials(TREE, "part")] == [3, 4, 5, 6, 7]
    assert [each.seed for each in experiments.trials(TREE, "plain")] == [3, 4, 5, 6, 7]


def test_every_seed_is_trained_on_every_split_in_a_folder_of_its_own():
    found = list(experiments.trials(TREE, "split"))
    assert [each.place for each in found] == ["seed3-split1", "seed3-split2", "seed4-split1", "seed4-split2"]
    assert experiments.resolve(TREE, found[1])["data"] == "many/2"
    assert found[1].folder("train").as_posix() == "artifacts/runs/split/seed3-split2/train"
    assert experiments.trial(TREE, "split").folder("train").as_posix() == "artifacts/train/split"


def test_a_split_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="many has the splits 1 to 2, got 3"):
        experiments.trial(TREE, "split", split=3)


def test_the_default_run_alone_is_as_short_as_an_experiment_says():
    recipes = {**TREE["recipes"], "brief": {"training": {"epochs": 1}}}
    plain = {**TREE["experiments"]["plain"], "short": "brief"}
    tree = {**TREE, "recipes": recipes, "experiments": {**TREE["experiments"], "plain": plain}}
    default = experiments.trial(tree, "plain")
    assert experiments.resolve(tree, default)["training"]["epochs"] == 1
    assert experiments.num_epochs(tree, default) == 4
    for other in (experiments.trial(tree, "plain", apart=True), experiments.trial(tree, "plain", seed=4)):
        assert experiments.resolve(tree, other)["training"]["epochs"] == 4
    assert experiments.resolve_study(tree, "plain")["chain"]["plain"]["training"]["epochs"] == 4
    changed = {**plain, "change": {"training": {"epochs": 2}}}
    over = {**tree, "experiments": {**tree["experiments"], "plain": changed}}
    assert experiments.resolve(over, default)["training"]["epochs"] == 2
