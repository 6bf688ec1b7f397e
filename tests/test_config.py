import importlib
import pkgutil
from typing import Any

import pytest
from pydantic import ValidationError

import pipeline
from pipeline import config
from pipeline.config import Record, block, load, parse, seeded_block


class Batch(Record):
    groups: int
    images: int


class Training(Record):
    rate: float
    precision: str
    batch: Batch


GOOD: dict[str, Any] = {"rate": 1e-3, "precision": "auto", "batch": {"groups": 2, "images": 4}}


def test_a_block_becomes_a_frozen_record():
    record = parse(Training, GOOD, "training")
    assert record == Training(rate=1e-3, precision="auto", batch=Batch(groups=2, images=4))
    with pytest.raises(ValidationError, match="frozen"):
        record.rate = 2e-3  # type: ignore[misc]


def test_all_that_does_not_fit_is_named_at_once():
    wrong = {"rate": "fast", "colour": 1, "batch": {"groups": 2, "image": 4}}
    with pytest.raises(ValueError, match="does not fit") as error:
        parse(Training, wrong, "experiments.mdpr.training")
    lines = str(error.value).splitlines()
    assert "  experiments.mdpr.training.precision: missing" in lines
    assert "  experiments.mdpr.training.batch.images: missing" in lines
    assert "  experiments.mdpr.training.batch.image: unknown key" in lines
    assert "  experiments.mdpr.training.colour: unknown key (known: rate, precision, batch)" in lines
    assert any(line.startswith("  experiments.mdpr.training.rate: ") and "'fast'" in line for line in lines)
    assert len(lines) == 1 + 5


@pytest.mark.parametrize(("key", "value"), [("rate", "0.1"), ("precision", 3), ("batch", [2, 4])])
def test_no_value_is_turned_into_another_type(key, value):
    with pytest.raises(ValueError, match=rf"training\.{key}: .*got {value!r}".replace("[", r"\[")):
        parse(Training, GOOD | {key: value}, "training")


def test_a_whole_number_is_a_float_too():
    assert parse(Training, GOOD | {"rate": 1}, "training").rate == 1.0


@pytest.mark.parametrize("value", [None, 3, ["rate"]])
def test_what_is_no_block_is_said_to_be_none(value):
    with pytest.raises(ValueError, match=r"training: expected a block of keys"):
        parse(Training, value, "training")


def test_records_have_no_defaults():
    for module in pkgutil.walk_packages(pipeline.__path__, "pipeline."):
        if module.name not in ("pipeline.jobs.train", "pipeline.jobs.tune"):  # takes seconds, for Ray
            importlib.import_module(module.name)
    kinds = [Record]
    for kind in kinds:
        kinds += kind.__subclasses__()
    ours = [kind for kind in kinds if kind.__module__.startswith("pipeline.")]
    assert len(ours) > 10
    defaults = [(kind, name) for kind in ours for name, field in kind.model_fields.items() if not field.is_required()]
    assert defaults == []


def test_what_is_no_yaml_is_told_by_its_line(tmp_path):
    (tmp_path / "params.yaml").write_text('one: 1\nsettings: {camera: "_c(\\d+)"}\n')
    with pytest.raises(ValueError, match=r"(?s)params\.yaml is no YAML: .*line 2, .*unknown escape character"):
        load(tmp_path / "params.yaml")


def test_the_first_absent_key_is_named_with_those_that_are_there():
    tree = {"experiments": {"mdpr": {"seed": 1}, "baseline": {}}}
    assert block(tree, "experiments", "mdpr", "seed") == 1
    with pytest.raises(ValueError, match=r"no experiments\.mdpt; there is: mdpr, baseline"):
        block(tree, "experiments", "mdpt", "seed")
    with pytest.raises(ValueError, match=r"no experiments\.mdpr\.seed\.one; there is: nothing"):
        block(tree, "experiments", "mdpr", "seed", "one")


def test_a_seed_in_a_name_is_taken_by_the_block_and_by_the_trainings_it_learns_from():
    settings = {"first_pass": {"clusters": "artifacts/cluster/teacher"}, "teacher": "artifacts/train/teacher", "k": 3}
    student = {"seed": 1, "start": "artifacts/train/pretrain", "settings": settings}
    tree = {
        "experiments": {
            "teacher": {"seed": 1, "settings": {"clusters": "artifacts/cluster/start"}},
            "student": student,
        },
        "cluster": {
            "start": {"experiment": "teacher", "weights": "start"},
            "teacher": {"experiment": "teacher", "weights": "trained"},
        },
    }
    assert seeded_block(tree, "experiments", "student_seed2") == {
        "seed": 2,
        "start": "artifacts/train/pretrain",
        "settings": {
            "first_pass": {"clusters": "artifacts/cluster/teacher_seed2"},
            "teacher": "artifacts/train/teacher_seed2",
            "k": 3,
        },
    }
    assert seeded_block(tree, "experiments", "teacher_seed12")["settings"] == {"clusters": "artifacts/cluster/start"}
    assert seeded_block(tree, "cluster", "teacher_seed3") == {"experiment": "teacher_seed3", "weights": "trained"}
    assert seeded_block(tree, "experiments", "student") is student
    with pytest.raises(ValueError, match=r"no experiments\.mdpr; there is: teacher, student"):
        seeded_block(tree, "experiments", "mdpr_seed2")


def test_a_block_of_its_own_goes_before_the_seed_in_its_name():
    own = {"seed": 2, "settings": {}}
    assert seeded_block({"experiments": {"mdpr_seed2": own}}, "experiments", "mdpr_seed2") is own


def test_parameters_are_looked_for_in_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"no parameters at {tmp_path}/params\.yaml: run from the project"):
        load()
    config.PARAMS_FILE.write_text("- one\n")
    with pytest.raises(ValueError, match="expected a mapping at the top, got list"):
        load()
    config.PARAMS_FILE.write_text("seed: 1\n")
    assert load() == {"seed": 1}
