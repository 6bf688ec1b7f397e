import json
import shutil
from pathlib import Path

import pytest

from pipeline.jobs import side_by_side
from pipeline.methods.baseline.method import Baseline
from pipeline.tables.results import REFERENCES
from pipeline.training.checkpoint import open_checkpoint
from pipeline.training.method import StepOutput
from tests.noise import BASELINE, MSKD, changed, write_store

ROOT = Path(__file__).parents[2]
STUDENT = {"teacher": None, "mimicry_weight": 1.0, "mimicked": "all", "teacher_statistics": "batch"}
TEACHER = changed(MSKD, training__epochs=1, settings__batch__groups=1)
LEARNS = {"first_pass": {"clusters": None, "iterations": 2, "momentum": 1.0}, "student": STUDENT}
SHORT = changed(BASELINE, training__epochs=1, start="pretrain")
KEPT = ["cmc.csv", "history.csv", "made.json", "measures.json", "metrics.json"]
MADE = ["commit", "data", "marks", "parameters", "processor", "seconds", "versions"]


@pytest.fixture
def project(fresh, monkeypatch):
    """A project with two rows: one of two seeds, and a student of one seed; nothing was made of it."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    fresh.add("recipes", short=SHORT, teacher=TEACHER, student={"like": "teacher", "settings": LEARNS})
    fresh.write(
        experiments={
            "short": {"recipe": "short", "paper": "baseline", "data": "noise", "seeds": 2},
            "teacher": {"recipe": "teacher", "paper": "mskd", "data": "noise"},
        },
        students={"student": {"recipe": "student", "paper": "mskd", "data": "noise", "teacher": "teacher"}},
    )
    fresh.add("starts", pretrain={**fresh.params["starts"]["pretrain"], "change": {"training": {"epochs": 1}}})
    return fresh


@pytest.fixture
def quick(project, monkeypatch):
    """Lets the commands of a study run in this process, one after the other, which takes no start; lists them.

    One in which ``breaks`` is said fails.
    """
    ran = []

    def run_side_by_side(tasks):
        for task in tasks:
            trouble = ""
            for stage, row, *words in task.commands:
                said = f"{stage} {row}" + (f" seed{words[1]}" if "--seed" in words else "")
                ran.append(said)
                if said in project.breaks:
                    trouble = f"reid {stage} broke"
                    break
                project.run(stage, row, *words)
            yield task, side_by_side.Outcome(trouble, 1.0)

    def run_commands(task, root, environment):
        for command in task.commands:
            project.run(*command)
        return side_by_side.Outcome("", 1.0)

    project.breaks = ()
    monkeypatch.setattr(side_by_side, "run_side_by_side", run_side_by_side)
    monkeypatch.setattr(side_by_side, "run_commands", run_commands)
    return ran


def results(project, row):
    return sorted(place.name for place in (project.folder / "results" / row).iterdir() if place.is_dir())


def told(capsys):
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if line.startswith("study: ") and "numerics mark" not in line]


def test_each_seed_becomes_a_folder_of_small_files_by_commands_of_their_own(project, capsys):
    project.run("study", "short")  # the start weights are made as well
    assert results(project, "short") == ["seed3", "seed4"]
    for seed in (3, 4):
        place = project.folder / "results" / "short" / f"seed{seed}"
        assert sorted(file.name for file in place.iterdir()) == KEPT
        assert all(file.stat().st_size < 50_000 for file in place.iterdir())
        assert sorted(json.loads((place / "made.json").read_text())) == MADE
        trained = open_checkpoint(project.folder / "artifacts" / "runs" / "short" / f"seed{seed}" / "train")
        assert (trained.meta["experiment"]["seed"], trained.meta["name"]) == (seed, "short")
    assert not (project.folder / "artifacts" / "train" / "short").exists(), "the default run's folders are its own"
    assert not list((project.folder / "results").glob(".*"))
    first, start, *others = told(capsys)
    assert start == "study: reid train pretrain"
    assert first == "study: 2 results, 2 of them missing"
    assert sorted(line.split(" is made;")[0] for line in others) == ["study: short seed3", "study: short seed4"]
    assert [line.split("; ")[1].split(",")[0] for line in others] == ["1 of 2", "2 of 2"]


def test_a_result_that_is_there_is_not_made_again(project, quick, capsys):
    project.run("train", "pretrain")
    project.run("study", "short")
    assert len(quick) == 4
    before = {file: file.stat().st_mtime_ns for file in (project.folder / "results").rglob("*")}
    capsys.readouterr()
    project.run("study", "short")
    assert told(capsys) == ["study: 2 results, 0 of them missing"]
    assert len(quick) == 4
    assert {file: file.stat().st_mtime_ns for file in (project.folder / "results").rglob("*")} == before


def test_a_study_that_was_stopped_goes_on_with_what_is_left(project, quick, refused):
    project.run("train", "pretrain")
    project.breaks = ("evaluate short seed4",)
    assert "1 results failed; the same command tries again:\nreid evaluate broke" in refused(project, "study", "short")
    assert results(project, "short") == ["seed3"]
    weights = project.folder / "artifacts" / "runs" / "short" / "seed4" / "train" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    quick.clear()
    project.breaks = ()
    project.run("study", "short")
    assert quick == ["train short seed4", "evaluate short seed4"]
    assert weights.stat().st_mtime_ns == before, "what was trained is not trained again"
    assert results(project, "short") == ["seed3", "seed4"]


def test_start_weights_of_other_parameters_are_trained_again(project, quick):
    project.run("train", "pretrain")
    weights = project.folder / "artifacts/train/pretrain/model.safetensors"
    before = weights.read_bytes()
    project.add("recipes", baseline=changed(BASELINE, settings__smoothing=0.2))
    project.run("study", "short")
    assert weights.read_bytes() != before


def test_a_whole_study_has_what_a_method_has_to_beat(project, quick):
    project.add("experiments", teacher={"recipe": "short", "paper": "baseline", "data": "noise"})
    project.write(students={})
    project.run("train", "pretrain")
    project.run("study")
    folder = project.folder / "results/references/noise"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {f"{name}@noise" for name in REFERENCES}
    assert not list(folder.rglob("*.npy")), "small files alone"
    project.run("tables", "--study")
    table = (project.folder / "artifacts/study/results.md").read_text()
    assert all(name in table for name in REFERENCES)
    project.add("references", raw_pixels={"height": 8, "width": 4})
    quick.clear()
    project.run("study")
    assert quick == ["references noise"]


def test_a_command_that_fails_names_its_log_and_leaves_the_other_rows_alone(project, refused):
    project.add("experiments", broken={"recipe": "broken", "paper": "baseline", "data": "noise"})
    project.add("recipes", broken=changed(SHORT, start="none", settings__batch__identities=50))  # there are 6
    message = refused(project, "study", "broken", "teacher")
    assert message.startswith("error: ")
    assert "reid train broken" in message
    assert "artifacts/runs/broken/seed3/log.txt" in message
    assert results(project, "teacher") == ["seed3"]
    assert not (project.folder / "results/broken/seed3").exists()


@pytest.mark.parametrize(
    ("section", "name", "block"),
    [
        ("recipes", "short", changed(SHORT, settings__smoothing=0.2)),
        ("recipes", "baseline", changed(BASELINE, settings__smoothing=0.2)),
        ("data", "noise", {"like": "market", "published_counts": False, "height": 31}),
    ],
    ids=["its own parameters", "those of the weights that it starts from", "those of its data"],
)
def test_a_result_of_other_parameters_is_missing(project, quick, capsys, section, name, block):
    project.run("train", "pretrain")
    project.run("study", "short")
    project.add(section, **{name: block})
    capsys.readouterr()
    project.run("study", "short", "--plan")
    assert told(capsys)[0].startswith("study: 2 results, 2 of them missing")


def test_a_result_of_another_evaluation_is_missing(project, quick, capsys):
    project.run("train", "pretrain")
    project.run("study", "short")
    project.write(evaluation={**project.params["evaluation"], "flip": True})
    capsys.readouterr()
    project.run("study", "short", "--plan")
    lines = ["  short seed3 (there by other parameters)", "  short seed4 (there by other parameters)"]
    assert capsys.readouterr().out.splitlines()[1:] == lines


def test_code_that_computes_something_else_makes_results_again(project, quick, capsys, monkeypatch):
    project.run("train", "pretrain")
    project.run("study", "short")
    true_loss = Baseline.find_loss

    def find_loss(self, output, batch):
        found = true_loss(self, output, batch)
        return StepOutput(found.loss * factor, found.parts, found.shared)

    monkeypatch.setattr(Baseline, "find_loss", find_loss)
    quick.clear()
    factor = 1 + 1e-12
    project.run("study", "short")
    assert quick == [], "rounding is no change"
    factor = 1 + 1e-6
    capsys.readouterr()
    project.run("study", "short")
    assert len(quick) == 4
    said = told(capsys)
    assert said[0] == "study: short computes something else than before: its results are made again"
    assert said[1].startswith("study: 2 results, 2 of them missing")


def test_results_on_other_images_are_made_again(project, quick, capsys):
    project.run("train", "pretrain")
    project.run("study", "short")
    shutil.rmtree(project.folder / "data/prepared/noise")
    write_store(project.folder / "data/prepared/noise", seed=1)
    capsys.readouterr()
    project.run("study", "short")
    assert told(capsys)[1].startswith("study: 2 results, 2 of them missing")


def test_what_moves_no_result_makes_none_again(project, quick, capsys):
    project.run("train", "pretrain")
    project.run("study", "short")
    project.add("resources", default={**project.params["resources"]["default"], "retries": 2})
    project.add("recipes", other=BASELINE)
    capsys.readouterr()
    project.run("study", "short")
    assert told(capsys) == ["study: 2 results, 0 of them missing"]


def test_a_changed_parameter_makes_a_result_again_in_its_place(project, quick):
    project.run("train", "pretrain")
    project.run("study", "short")
    place = project.folder / "results" / "short" / "seed3"
    before = (place / "made.json").read_text()
    (place / "left_over.json").write_text("{}")
    project.add("recipes", short=changed(SHORT, settings__smoothing=0.2))
    project.run("study", "short")
    assert json.loads((place / "made.json").read_text())["parameters"] != json.loads(before)["parameters"]
    assert sorted(file.name for file in place.iterdir()) == KEPT


def test_scores_of_an_earlier_evaluation_are_no_part_of_a_result(project, quick):
    project.run("train", "pretrain")
    earlier = project.folder / "artifacts" / "runs" / "short" / "seed3" / "evaluate" / "all-search"
    earlier.mkdir(parents=True)
    (earlier / "metrics.json").write_text("{}")
    project.run("study", "short")
    assert sorted(path.name for path in (project.folder / "results" / "short" / "seed3").iterdir()) == KEPT


def test_a_student_learns_from_a_teacher_of_its_own_seed(project, quick):
    project.run("study", "student")
    assert quick == ["train teacher seed3", "cluster teacher seed3", "train student seed3", "evaluate student seed3"]
    runs = project.folder / "artifacts" / "runs"
    settings = open_checkpoint(runs / "student" / "seed3" / "train").meta["experiment"]["settings"]
    assert settings["student"]["teacher"] == "artifacts/runs/teacher/seed3/train"
    assert settings["first_pass"]["clusters"] == "artifacts/runs/teacher/seed3/cluster"
    assert results(project, "student") == ["seed3"]
    assert not (project.folder / "results" / "teacher").exists(), "a row is what was asked for"


def test_a_changed_teacher_makes_its_students_results_again(project, quick, capsys):
    project.run("study", "student")
    project.add("recipes", teacher=changed(TEACHER, settings__momentum=0.2))
    capsys.readouterr()
    project.run("study", "student", "--plan")
    assert told(capsys)[0].startswith("study: 1 results, 1 of them missing")


def test_a_plan_runs_nothing_and_names_what_is_missing(project, quick, capsys):
    project.run("study", "--plan")
    first, *rows = capsys.readouterr().out.splitlines()
    assert first == "study: 5 results, 5 of them missing"
    assert rows == ["  references noise", "  short seed3", "  teacher seed3", "  student seed3", "  short seed4"]
    assert quick == []
    assert not (project.folder / "artifacts").exists()


@pytest.mark.parametrize(("seconds", "words"), [(90, "1:30 min"), (5400, "1:30 h")])
def test_it_says_how_long_it_takes_by_what_others_of_the_row_have_taken(project, capsys, monkeypatch, seconds, words):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    for row, taken in (("teacher", seconds), ("short", 1)):
        place = project.folder / "results" / row / "seed9"
        place.mkdir(parents=True)
        (place / "made.json").write_text(json.dumps({"seconds": taken}))
    project.add("experiments", teacher={**project.params["experiments"]["teacher"], "seeds": 2})
    project.run("study", "teacher", "--plan")
    assert told(capsys) == [f"study: 2 results, 2 of them missing, {words}"]


def test_an_unknown_row_is_answered_with_the_nearest(project, refused):
    message = refused(project, "study", "shrot")
    assert message == "error: params.yaml declares no experiment shrot, and it is no RECIPE@DATA; did you mean short?"
