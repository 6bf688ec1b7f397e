import shutil

import numpy as np
import pytest

from pipeline.report.artifacts import find_store, read_artifacts, read_scores, read_trainings, scored_images


def test_everything_scored_is_found_without_naming_it(project):
    found = read_scores(project / "artifacts" / "evaluate", [])
    assert [scored.folder.name for scored in found] == ["baseline", "chance@noise", "mdpr", "pretrained@noise"]
    assert [scored.name for scored in found if scored.is_reference] == ["chance", "pretrained"]
    assert [scored.name for scored in found if not scored.has_embeddings] == ["chance"]


def test_a_data_set_with_several_searches_has_a_result_for_each(project, tmp_path):
    for search in ("all-search", "indoor-search"):
        shutil.copytree(project / "artifacts" / "evaluate" / "mdpr", tmp_path / "smmd" / search)
    (scored,) = read_scores(tmp_path, ["smmd"])
    assert list(scored.results) == ["all-search", "indoor-search"]
    assert scored.curve("indoor-search")[0] == [1, 2, 3, 4, 5]
    assert scored.curve("") == ([], [])


def test_a_name_without_results_is_an_error_that_says_what_to_do(project):
    with pytest.raises(ValueError, match=r"nobody.*evaluate"):
        read_scores(project / "artifacts" / "evaluate", ["nobody"])


def test_a_training_brings_the_one_that_it_started_from(project):
    found = read_trainings(project / "artifacts" / "train", ["baseline", "chance"])
    assert list(found) == ["baseline", "pretrain"]


def test_epochs_without_a_value_are_left_out_of_a_curve(made):
    assert made.trainings["mdpr"].curve("ari") == ([1.0], [0.1])


def test_images_are_found_by_what_was_scored_and_not_by_their_name(project, made, tmp_path):
    shutil.copytree(project / "data" / "prepared" / "noise", tmp_path / "moved")
    scored = made.scores[1]
    store = find_store(tmp_path, scored)
    assert len(scored_images(store)) == len(scored.embeddings())
    assert np.array_equal(store.table[store.table["split"] == "test"]["path"], scored.rows()["path"])
    assert find_store(tmp_path / "moved", scored) is None


def test_only_data_that_was_used_is_reported_on(project, made, tmp_path):
    assert [report["name"] for report in made.examined] == ["noise"]
    shutil.copytree(project / "data" / "prepared", tmp_path / "prepared")
    report = tmp_path / "prepared" / "noise.report.json"
    report.write_text(report.read_text().replace(made.examined[0]["fingerprint"], "other"))
    again = read_artifacts(
        project / "artifacts" / "evaluate", project / "artifacts" / "train", tmp_path / "prepared", ["mdpr"]
    )
    assert again.examined == []
