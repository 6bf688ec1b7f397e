import csv

import pytest

from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.stamp import Recipe, Result, market_protocol, write_result
from stages import differences

SCORES = {("teacher", 1): 0.5, ("teacher", 2): 0.25, ("student", 1): 0.75, ("student", 2): 0.25, ("student", 3): 0.9}


@pytest.fixture
def scored(fresh):
    """A project with scores of two experiments by seed, in folders named as those of studies/dvc.yaml."""
    protocol = market_protocol(data="people", fingerprint="abc", counts={}, is_generated=True)
    recipe = Recipe("unsupervised", "pretrain", 64, 32, "256-d", "cosine", False, "not used", 8, "last")
    for (name, seed), score in SCORES.items():
        result = Result(name, "mskd", seed, 1, dict.fromkeys(NAMES, score), protocol, recipe)
        folder = name if seed == 1 else f"{name}_seed{seed}"
        write_result(fresh.folder / "artifacts" / "evaluate" / folder / "metrics.json", result)
    return fresh


def test_one_command_subtracts_seed_by_seed_over_the_seeds_that_both_have(scored, capsys):
    scored.run(differences, "student:teacher", "teacher:teacher")
    folder = scored.folder / "artifacts" / "differences"
    rows = list(csv.DictReader((folder / "differences.csv").open()))
    assert [(row["one"], row["other"], row["metric"]) for row in rows] == [
        ("student", "teacher", "mAP"), ("teacher", "teacher", "mAP"),
        ("student", "teacher", "rank1"), ("teacher", "teacher", "rank1"),
    ]  # fmt: skip
    assert (rows[0]["seeds"], float(rows[0]["mean"])) == ("1 2", 0.125)
    printed = capsys.readouterr().out
    assert "| student - teacher | standard | mAP | +12.5 ± 17.7 | +25.0 (1), +0.0 (2) |" in printed
    assert printed.strip() == (folder / "differences.md").read_text().strip()


def test_differences_are_written_where_they_are_asked_for(scored):
    scored.run(differences, "student:teacher", "--out", "artifacts/elsewhere")
    assert (scored.folder / "artifacts" / "elsewhere" / "differences.csv").is_file()


def test_an_experiment_that_was_not_evaluated_is_named(scored, refused):
    message = refused(scored, differences, "student:elsewhere")
    assert message.startswith("error: student and elsewhere share no seed: evaluate both with the same seeds first")
    assert not (scored.folder / "artifacts" / "differences").exists()


def test_pairs_are_written_with_a_colon(scored, capsys):
    with pytest.raises(SystemExit) as end:
        scored.run(differences, "student:teacher", "student", "a:b:c")
    assert end.value.code == 2
    assert "expected ONE:OTHER, got student, a:b:c" in capsys.readouterr().err
