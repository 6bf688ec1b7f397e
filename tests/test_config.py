import datetime
import importlib
import pkgutil
from typing import Any

import pytest
from pydantic import ValidationError

import pipeline
from pipeline import config
from pipeline.config import Record, block, load, nearest, overlaid, parse


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
    with pytest.raises(ValueError, match=r"no experiments\.mdpt; did you mean mdpr\?"):
        block(tree, "experiments", "mdpt", "seed")
    with pytest.raises(ValueError, match=r"no experiments\.mdpr\.seed\.one; there is: nothing"):
        block(tree, "experiments", "mdpr", "seed", "one")


PATCHED = {
    "seed": 1,
    "training": {"epochs": 2, "decay": {"kind": "cosine", "final": 0.0}},
    "first_pass": {"momentum": 0.1},
}


def test_a_patch_replaces_what_it_names_and_nothing_else():
    patched = overlaid(PATCHED, {"training": {"decay": {"final": 0.1}}}, "change")
    assert patched == {**PATCHED, "training": {"epochs": 2, "decay": {"kind": "cosine", "final": 0.1}}}
    assert PATCHED["training"]["decay"]["final"] == 0.0


def test_a_block_can_be_replaced_by_none_and_none_by_a_block():
    without = overlaid(PATCHED, {"first_pass": None}, "change")
    assert without["first_pass"] is None
    assert overlaid(without, {"first_pass": {"iterations": 3}}, "change")["first_pass"] == {"iterations": 3}


def test_a_block_of_another_kind_replaces_the_whole_block():
    steps = {"kind": "steps", "milestones": [1]}
    assert overlaid(PATCHED, {"training": {"decay": steps}}, "change")["training"]["decay"] == steps
    cosine = {"kind": "cosine", "final": 0.5}
    assert overlaid(PATCHED, {"training": {"decay": cosine}}, "change")["training"]["decay"] == cosine


def test_a_key_that_overrides_nothing_is_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"^change\.training\.epoch overrides nothing; did you mean epochs\?$"):
        overlaid(PATCHED, {"training": {"epoch": 3}}, "change")
    assert overlaid(PATCHED, {"training": {"epoch": 3}}, "change", adds=True)["training"]["epoch"] == 3


@pytest.mark.parametrize(
    ("name", "known", "end"),
    [
        ("mdpt", ["mdpr", "agw"], "; did you mean mdpr?"),
        ("batc", ["batch", "bath", "size"], "; did you mean batch or bath?"),
        ("zzz", ["mdpr", "agw"], "; there is: agw, mdpr"),
        ("zzz", [], "; there is: nothing"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_else_with_all(name, known, end):
    assert nearest(name, known) == end


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-06", 1e-6), ("1E3", 1e3), ("-2.5e+2", -250.0), ("1.0e-4", 1e-4), ("3", 3), ("0x1e", 30), ("1e", "1e"),
     ("e3", "e3"), ("'1e3'", "1e3"), ("2026-01-01", datetime.date(2026, 1, 1))],
)  # fmt: skip
def test_a_number_with_an_exponent_is_a_number_without_a_point_too(tmp_path, text, value):
    (tmp_path / "params.yaml").write_text(f"one: {text}\n")
    found = load(tmp_path / "params.yaml")["one"]
    assert (found, type(found)) == (value, type(value))


def test_parameters_are_looked_for_in_the_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"no parameters at {tmp_path}/params\.yaml: run from the project"):
        load()
    config.PARAMS_FILE.write_text("- one\n")
    with pytest.raises(ValueError, match="expected a mapping at the top, got list"):
        load()
    config.PARAMS_FILE.write_text("seed: 1\n")
    assert load() == {"seed": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\na: 2\n", r"the key a stands there twice\s+in .*line 2"),
        (b"a: {b: 1, 'b': 2}\n", "the key b stands there twice"),
        (b"a: " + b"[" * 100_000, "more than 50 blocks in each other, in line 1"),
        (b"- " * 100_000, "more than 50 blocks in each other"),
        (b"a: &a {b: *a}\n", "a block that holds itself, in line 1"),
        ("a: \u00e9\n".encode("utf-16"), "is not in UTF-8, from its byte 0 on: save it as UTF-8"),
        ("a: \u00e9\n".encode("latin1"), "is not in UTF-8, from its byte 3 on"),
        (b"a: 2001-13-45\n", "is no YAML: month must be"),
        (b"a: \0\n", "is no YAML"),
        (b"? [1]\n: 2\n", "is no YAML"),
    ],
)
def test_what_is_no_yaml_of_parameters_is_refused_with_its_place(tmp_path, content, message):
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "params.yaml")


def test_the_same_key_may_stand_in_two_blocks_and_over_what_is_merged(tmp_path):
    (tmp_path / "params.yaml").write_text("a: &a {b: 1, c: 1}\nd: {<<: *a, b: 2}\n")
    assert load(tmp_path / "params.yaml") == {"a": {"b": 1, "c": 1}, "d": {"b": 2, "c": 1}}


SECTIONS = "# by hand\nstudies:\n  data:      # on disk\n    old: {height: 1}\n  papers: {}\nresources: {}\n"


def test_a_block_more_is_the_first_of_its_section_and_all_other_lines_stay(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(SECTIONS)
    lines = config.add_block(file, ["studies", "data"], "new", {"reader": {"camera": r"_c(\d+)"}, "height": 2})
    assert lines == "    new:\n      reader: {camera: _c(\\d+)}\n      height: 2\n"
    assert file.read_text() == SECTIONS.replace("    old", f"{lines}    old")
    assert config.load(file)["studies"]["data"]["new"]["reader"] == {"camera": r"_c(\d+)"}


@pytest.mark.parametrize(
    ("section", "name", "message"),
    [
        (["studies", "data"], "old", r"has studies\.data\.old already: choose another name"),
        (["studies", "papers"], "new", r"can't add to studies\.papers as it is written; add this there:\n    new: "),
        (["studies", "absent"], "new", r"params\.yaml has no studies\.absent"),
    ],
)
def test_a_block_that_can_not_be_added_leaves_the_file_as_it_was(section, name, message, tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(SECTIONS)
    with pytest.raises(ValueError, match=message):
        config.add_block(file, section, name, {"height": 3})
    assert file.read_text() == SECTIONS
