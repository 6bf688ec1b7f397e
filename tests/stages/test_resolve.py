from pathlib import Path

import pytest
import yaml

from pipeline.config import load
from tests.noise import BASELINE, MDPR, MSKD, changed
from tests.tuning.small import SEARCH

OUT = Path("artifacts/resolved")


def files(project):
    return sorted(file.relative_to(project.folder / OUT).as_posix() for file in (project.folder / OUT).rglob("*.yaml"))


@pytest.fixture
def declared(fresh):
    """A project with an experiment of three seeds, a student of it, a study's row, and a search."""
    fresh.add("recipes", teacher=MSKD)
    fresh.write(
        experiments={
            "mdpr": {"recipe": "mdpr", "paper": "mdpr", "data": "noise"},
            "teacher": {"recipe": "teacher", "paper": "mskd", "data": "noise", "seeds": 3},
        },
        students={"student": {"recipe": "teacher", "paper": "mskd", "data": "noise", "teacher": "teacher"}},
        studies={
            **fresh.params["studies"],
            "ablations": {
                "mdpr_hard": {
                    "recipe": "mdpr",
                    "paper": "mdpr",
                    "data": "noise",
                    "against": ["mdpr"],
                    "change": {"settings": {"soft": False}},
                },
            },
            "searches": {"small": {"of": {"experiment": "mdpr", "paper": "mdpr", "data": "noise"}}},
        },
    )
    return fresh


def test_everything_that_is_declared_has_a_file_of_its_own_and_nothing_else_has(declared, capsys):
    (declared.folder / OUT / "experiments").mkdir(parents=True)
    (declared.folder / OUT / "experiments" / "gone.yaml").write_text("{}\n")
    declared.run("resolve")
    rows = ["mdpr", "mdpr_hard", "pretrain", "student", "teacher"]
    assert files(declared) == [
        "data/market.yaml",
        "data/noise.yaml",
        "evaluation.yaml",
        *(f"experiments/{name}.yaml" for name in rows),
        "references.yaml",
        "searches/small.yaml",
        *(f"studies/{name}.yaml" for name in rows),
    ]
    assert capsys.readouterr().out == "resolved: 15 blocks of params.yaml in artifacts/resolved\n"


def test_a_file_holds_all_that_its_stage_depends_on(declared):
    declared.run("resolve")
    out = declared.folder / OUT
    assert load(out / "experiments" / "mdpr_hard.yaml") == changed(MDPR, settings__soft=False)
    assert load(out / "experiments" / "pretrain.yaml").keys() == BASELINE.keys()
    assert load(out / "evaluation.yaml") == declared.params["evaluation"]
    assert load(out / "data" / "noise.yaml") == {**declared.params["data"]["market"], "published_counts": False}
    assert load(out / "searches" / "small.yaml") == {
        "search": {**SEARCH, "experiment": "mdpr", "data": "noise"},
        "experiment": MDPR,
    }
    study = load(out / "studies" / "student.yaml")
    assert list(study["chain"]) == ["student", "teacher"]
    assert study["trials"] == ["seed3"]
    assert load(out / "studies" / "teacher.yaml")["trials"] == ["seed3", "seed4", "seed5"]


def test_a_change_of_one_experiment_changes_no_file_of_another(declared):
    declared.run("resolve")
    before = {name: (declared.folder / OUT / name).read_bytes() for name in files(declared)}
    declared.add("recipes", teacher=changed(MSKD, settings__momentum=0.2))
    declared.run("resolve")
    after = {name: (declared.folder / OUT / name).read_bytes() for name in files(declared)}
    assert {name for name in before if before[name] != after[name]} == {
        "experiments/student.yaml", "experiments/teacher.yaml", "studies/student.yaml", "studies/teacher.yaml",
    }  # fmt: skip


MDPR_OWN = {"recipe": "mdpr", "paper": "mdpr", "data": "noise"}


@pytest.mark.parametrize(
    ("section", "block", "message"),
    [
        ("experimets", {}, "unknown key experimets; did you mean experiments?"),
        ("experiments", {"mdpr": {**MDPR_OWN, "sees": 3}}, "experiment mdpr: unknown key sees; did you mean seeds?"),
        ("experiments", {"mdpr": {"recipe": "mdpr", "data": "noise"}}, "experiment mdpr: missing paper"),
        (
            "experiments",
            {"mdpr": {**MDPR_OWN, "change": {"settings": {"fusoin": False}}}},
            "experiment mdpr: change.settings.fusoin overrides nothing; did you mean fusion?",
        ),
        ("experiments", {"mdpr": {**MDPR_OWN, "recipe": "mdrp"}}, "no recipes.mdrp; did you mean mdpr?"),
        ("experiments", {"mdpr": {**MDPR_OWN, "data": "nois"}}, "no data.nois; did you mean noise?"),
        (
            "experiments",
            {"mdpr": {**MDPR_OWN, "against": ["pretrian"]}},
            "experiment mdpr: against pretrian, which params.yaml does not declare; did you mean pretrain?",
        ),
        (
            "students",
            {"student": {**MDPR_OWN, "teacher": "mdpt"}},
            "declares no experiment mdpt, and it is no RECIPE@DATA; did you mean mdpr?",
        ),
        ("students", {"mdpr": MDPR_OWN}, "params.yaml declares mdpr twice: give one of them another name"),
        ("recipes", {"mdpr": {"like": "mdpr"}}, "params.yaml: recipes.mdpr is like itself: mdpr -> mdpr"),
        (
            "recipes",
            {"mdpr": {"like": "hard"}, "hard": {"like": "mdpr"}},
            "recipes.mdpr is like itself: mdpr -> hard -> mdpr",
        ),
        ("recipes", {"mdpr": {**MDPR, "colour": 1}, "baseline": BASELINE}, "its recipe has an unknown key colour"),
        ("data", {"noise": {"like": "markt"}, "market": {}}, "no data.markt; did you mean market?"),
        ("resources", {"default": {"workers": 0}, "mdpr": {"wokers": 1}}, "mdpr.wokers overrides nothing"),
    ],
)
def test_what_is_misspelt_or_missing_is_named_with_the_nearest(fresh, refused, section, block, message):
    fresh.write(**{section: block} if section != "recipes" else {section: {"baseline": BASELINE, **block}})
    assert message in refused(fresh, "resolve")
    assert not (fresh.folder / OUT).exists()


def test_an_unknown_kind_of_study_or_search_is_named(fresh, refused):
    studies = fresh.params["studies"]
    fresh.write(studies={**studies, "abations": {}})
    assert refused(fresh, "resolve") == "error: params.yaml: unknown key studies.abations; did you mean ablations?"
    fresh.write(studies={**studies, "searches": {"small": {"of": {"experiment": "mdpt"}}}})
    assert "declares no experiment mdpt" in refused(fresh, "resolve")


def test_files_are_plain_yaml_that_reads_as_what_was_declared(declared):
    declared.run("resolve")
    assert not any("*id" in (declared.folder / OUT / name).read_text() for name in files(declared)), "no aliases"
    assert yaml.safe_load((declared.folder / OUT / "experiments" / "pretrain.yaml").read_text())["start"] == "none"
    found = load(declared.folder / OUT / "experiments" / "pretrain.yaml")
    assert found["training"]["decay"]["final"] == 1e-6
