"""One number of each seed, from a study's small files."""

import json

import pytest

from pipeline.tables.seed_scores import SeedScores, count_passes


@pytest.fixture
def keep(tmp_path):
    """Writes the small files of one result; returns its folder."""

    def write(row, seed, *, metrics=None, search="", measures=None, history=None):
        folder = tmp_path / row / f"seed{seed}"
        (folder / search).mkdir(parents=True, exist_ok=True)
        for file, content in ((folder / search / "metrics.json", metrics), (folder / "measures.json", measures)):
            if content is not None:
                file.write_text(json.dumps(content))
        if history:
            lines = [",".join(history[0]), *(",".join(map(str, epoch.values())) for epoch in history)]
            (folder / "history.csv").write_text("\n".join(lines) + "\n")
        return folder

    return write


def test_a_metric_is_found_in_the_file_that_has_it(keep):
    plain = keep("mdpr", 1, metrics={"mAP": 0.5}, measures={"attn4/mAP": 0.4})
    clustered = keep("teacher", 2, metrics={"mAP": 0.3}, history=[{"ari": 0.1}, {"ari": 0.2}])
    both = keep("agw", 3, metrics={"mAP": 0.2}, search="all-search", measures={"modality_gap": 0.7})
    keep("agw", 3, metrics={"mAP": 0.9}, search="indoor-search")
    scores = SeedScores.read([plain, clustered, both])
    assert (scores.of("mdpr", "mAP"), scores.of("mdpr", "attn4/mAP")) == ({1: 0.5}, {1: 0.4})
    assert scores.of("teacher", "clusters/ari") == {2: 0.2}
    assert (scores.of("agw", "mAP"), scores.of("agw", "modality_gap")) == ({3: 0.2}, {3: 0.7})


def test_what_was_not_run_or_not_measured_is_not_there(keep, tmp_path):
    scores = SeedScores.read([keep("mdpr", 1, metrics={"mAP": 0.5}), tmp_path / "references" / "people"])
    assert scores.of("baseline", "mAP") == scores.of("mdpr", "attn4/mAP") == {}


def test_a_pilots_rows_stand_for_those_of_the_study(keep):
    scores = SeedScores.read([keep("mdpr+pilot@others", 101, metrics={"mAP": 0.5})], {"mdpr": "mdpr+pilot@others"})
    assert scores.of("mdpr", "mAP") == {101: 0.5}


def epochs(steps, *ari):
    return [{"steps": str(each), "ari": str(value)} for each, value in zip(steps, ari, strict=True)]


@pytest.mark.parametrize(
    ("history", "passes"),
    [
        (epochs([50, 50, 50], 0.1, 0.2, 0.3), 3.0),  # no student: all of its passes
        (epochs([100, 50, 50, 50], 0.5, 0.3, 0.5, 0.6), 3.0),  # the third epoch's clusters, after 100 + 50 steps
        (epochs([100, 50, 50, 50], 0.5, 0.6, 0.1, 0.1), 2.0),
        (epochs([100, 50, 50, 50], 0.5, 0.3, 0.4, 0.4), 5.0),  # never: all of its passes
    ],
)
def test_a_students_passes_count_until_its_own_clusters_are_as_good_as_its_teachers_last(history, passes):
    assert count_passes(history) == passes
