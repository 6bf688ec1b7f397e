import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.stamp import (
    Protocol,
    Recipe,
    Reranking,
    Result,
    check_equal_protocols,
    market_protocol,
    parse_stamp,
    read_result,
    stamp,
    write_result,
)

PROTOCOL = market_protocol(data="people", fingerprint="abc", counts={"query_images": 3}, is_generated=True)
RECIPE = Recipe(
    supervision="supervised",
    start_weights="pretrain",
    height=64,
    width=32,
    feature="fused, 576-d",
    distance="cosine",
    flip=False,
    cameras="not used",
    epoch=8,
    epoch_choice="last",
)
RESULT = Result(
    experiment="mdpr",
    method="mdpr",
    seed=1,
    trials=1,
    metrics={**dict.fromkeys(NAMES, 0.5), "num_queries": 3},
    protocol=PROTOCOL,
    recipe=RECIPE,
)

CHANGED = {
    "data": "market1501",
    "fingerprint": "abd",
    "is_generated": False,
    "counts": {"query_images": 4},
    "search": "all-search",
    "gallery": "drawn",
    "trials": 10,
    "shots": "single-shot",
    "camera_rule": "none",
    "reranking": Reranking(20, 6, 0.3, "zhong"),
    "query_expansion": "average of 5",
    "postprocessing": "cameras centred",
    "average_precision": "trapezoids",
}


def test_a_result_comes_back_as_it_was_written(tmp_path):
    for result in (RESULT, replace(RESULT, protocol=replace(PROTOCOL, reranking=Reranking(20, 6, 0.3, "zhong")))):
        write_result(tmp_path / "new" / "metrics.json", result)
        assert read_result(tmp_path / "new" / "metrics.json") == result


def test_metrics_stand_flat_on_top_of_the_file(tmp_path):
    write_result(tmp_path / "metrics.json", RESULT)
    tree = json.loads((tmp_path / "metrics.json").read_text())
    assert tree["mAP"] == 0.5
    assert (tree["experiment"], tree["method"], tree["data"], tree["seed"]) == ("mdpr", "mdpr", "people", 1)
    assert set(tree["stamp"]) == {"protocol", "recipe"}


def test_stamps_cannot_be_changed():
    for record in (PROTOCOL, RECIPE, RESULT):
        with pytest.raises(FrozenInstanceError):
            record.data = "other"


def test_every_field_of_the_protocol_moves_its_digest_and_splits_tables():
    assert set(CHANGED) == {field.name for field in fields(Protocol)}
    for name, value in CHANGED.items():
        other = replace(PROTOCOL, **{name: value})
        assert other.digest != PROTOCOL.digest
        with pytest.raises(ValueError, match=f"mdpr and agw .*\n  {name}: "):
            check_equal_protocols([RESULT, replace(RESULT, experiment="agw", protocol=other)])


def test_recipes_may_differ_in_one_table():
    check_equal_protocols([RESULT, replace(RESULT, recipe=replace(RECIPE, height=128, flip=True))])


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({}, "standard"),
        ({"reranking": Reranking(20, 6, 0.3, "zhong")}, "standard re-ranking"),
        ({"search": "all-search", "shots": "single-shot"}, "all-search single-shot"),
        ({"query_expansion": "average of 5"}, "standard query expansion"),
        ({"postprocessing": "cameras centred"}, "standard post-processing"),
    ],
)
def test_the_label_says_the_protocol_in_the_words_of_the_field(change, label):
    assert replace(PROTOCOL, **change).label == label


def test_a_file_without_stamp_or_with_other_keys_is_an_error_that_names_them(tmp_path):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps({"mAP": 0.5}))
    with pytest.raises(ValueError, match=r"metrics.json: not a stamped result, it lacks .*rank1, .*stamp"):
        read_result(path)
    write_result(path, RESULT)
    tree = json.loads(path.read_text())
    del tree["stamp"]["protocol"]["shots"]
    tree["stamp"]["protocol"]["shot"] = "all"
    path.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match="protocol: missing shots, unknown shot"):
        read_result(path)


def test_a_file_from_before_precision_and_device_were_stamped_is_read(tmp_path):
    path = tmp_path / "metrics.json"
    write_result(path, replace(RESULT, recipe=replace(RECIPE, precision="float32", device="cpu")))
    tree = json.loads(path.read_text())
    assert (tree["stamp"]["recipe"].pop("precision"), tree["stamp"]["recipe"].pop("device")) == ("float32", "cpu")
    path.write_text(json.dumps(tree))
    assert read_result(path) == RESULT


def test_a_file_from_before_a_metric_was_added_is_refused_and_says_to_evaluate_again(tmp_path):
    path = tmp_path / "metrics.json"
    write_result(path, RESULT)
    tree = json.loads(path.read_text())
    del tree[NAMES[-1]]
    path.write_text(json.dumps(tree))
    with pytest.raises(ValueError, match=f"it lacks {NAMES[-1]}: run its evaluate stage again"):
        read_result(path)


def test_a_result_without_a_metric_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=f"missing: {NAMES[-1]}"):
        write_result(tmp_path / "metrics.json", replace(RESULT, metrics=dict.fromkeys(NAMES[:-1], 0.5)))


@pytest.mark.parametrize("value", [56.7, -0.1, float("nan")])
def test_percentages_and_nan_are_not_written(tmp_path, value):
    with pytest.raises(ValueError, match=r"metrics stand in \[0, 1\], got {'mAP'"):
        write_result(tmp_path / "metrics.json", replace(RESULT, metrics={**RESULT.metrics, "mAP": value}))
    assert not (tmp_path / "metrics.json").exists()


def test_stamps_need_neither_torch_nor_pandas():
    code = "import sys, pipeline.evaluation.stamp; sys.exit(bool({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_stamp_from_before_starts_could_fit_in_part_is_read():
    tree = stamp(RESULT)
    assert tree["recipe"].pop("start_fit") is None
    assert parse_stamp(tree, "here")[1] == RESULT.recipe
