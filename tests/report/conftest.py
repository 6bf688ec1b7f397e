"""A folder with what a pipeline makes of noise: prepared data, two trainings, their scores."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pipeline.evaluation.protocols import MARKET
from pipeline.evaluation.stamp import Recipe, Result, market_protocol, write_result
from pipeline.evaluation.trials import mean_metrics, rank_trials
from pipeline.report.artifacts import read_artifacts
from tests.noise import BASELINE, MDPR

RECIPE = Recipe("supervised", "pretrain", 32, 16, "8-d", "cosine", False, "not used", 2, "last")
VERSIONS = {"python": "3.11", "torch": "2.14"}


def write_scores(folder, store, name, *, noise):
    """Writes embeddings, and their scores: identities in directions of their own, hidden by ``noise``."""
    table = store.table[store.table["split"] == "test"]
    generator = np.random.default_rng(len(name))
    directions = generator.normal(size=(20, 8))
    embeddings = directions[table["person_id"]] + noise * generator.normal(size=(len(table), 8))
    embeddings = embeddings.astype(np.float32)
    rankings = rank_trials(embeddings, table, MARKET, metric="cosine", average_precision="standard")
    meta = store.meta
    protocol = market_protocol(
        data=meta["name"], fingerprint=meta["fingerprint"], counts=meta["counts"], is_generated=True
    )
    experiment = name.partition("@")[0]
    result = Result(experiment, experiment, 1, 1, mean_metrics(rankings), protocol, RECIPE)
    write_result(folder / name / "metrics.json", result)
    np.save(folder / name / "embeddings.npy", embeddings)
    table.to_parquet(folder / name / "rows.parquet", index=False)
    ranks = [f"{rank},{rankings[0].cmc(rank)}" for rank in range(1, 6)]
    (folder / name / "cmc.csv").write_text("\n".join(["rank,cmc", *ranks]) + "\n")


def write_training(folder, store, name, block):
    """Writes a training of two epochs whose network is as it was built."""
    from pipeline.config import parse
    from pipeline.methods.registry import find
    from pipeline.training import checkpoint
    from pipeline.training.experiment import ExperimentParams, build_method

    params = parse(ExperimentParams, block, name)
    method = build_method(find(block["method"]), params, name, store, num_classes=6)
    meta = {
        "name": name, "experiment": block, "num_classes": 6, "epoch": 2, "image": [32, 16], "resampling": "bicubic",
        "precision": "float32", "device": "cpu", "commit": "0" * 40, "code": "c0de",
        "data": store.meta["fingerprint"], "start": "none", "versions": VERSIONS, "tracking_run": None,
    }  # fmt: skip
    checkpoint.save(folder / name, method, {}, meta)
    clusters = "num_clusters,noise,ari" if name == "mdpr" else "skipped,unused,empty"
    lines = [f"epoch,loss,images_per_second,{clusters}", "1,3.0,90,5,0.5,0.1", "2,1.5,110,6,0.25,"]
    (folder / name / "history.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def project(tmp_path_factory, noise):
    """The folder of a project; not to be changed."""
    from pipeline.images.store import ImageStore

    root = tmp_path_factory.mktemp("report")
    shutil.copytree(noise, root / "data" / "prepared" / "noise")
    store = ImageStore(root / "data" / "prepared" / "noise")
    scores, trainings = root / "artifacts" / "evaluate", root / "artifacts" / "train"
    for name, noise_level in (("pretrained@noise", 3.0), ("mdpr", 0.6), ("baseline", 1.0)):
        write_scores(scores, store, name, noise=noise_level)
    write_result(
        scores / "chance@noise" / "metrics.json",
        replace(read_result_of(scores / "mdpr"), experiment="chance", method="chance"),
    )
    write_training(trainings, store, "pretrain", BASELINE)
    write_training(trainings, store, "baseline", BASELINE | {"start": "artifacts/train/pretrain"})
    write_training(trainings, store, "mdpr", MDPR)
    report = {
        "name": "noise", "data": "noise", "fingerprint": store.meta["fingerprint"], "heights": [32, 32],
        "widths": [16, 18], "num_errors": 0, "num_warnings": 1,
        "sizes": {"train": {"images": 36, "identities": 6, "cameras": 2, "distractors": 0, "infrared": 0}},
        "findings": [{"rule": "note", "level": "warning", "what": "odd <things>", "advice": "look", "found": ["this"]}],
    }  # fmt: skip
    (root / "data" / "prepared" / "noise.report.json").write_text(json.dumps(report))
    return root


def read_result_of(folder):
    from pipeline.evaluation.stamp import read_result

    return read_result(folder / "metrics.json")


@pytest.fixture(scope="session")
def made(project):
    """What there is to report on."""
    return read_artifacts(
        project / "artifacts" / "evaluate", project / "artifacts" / "train", project / "data" / "prepared",
        ["chance@noise", "pretrained@noise", "mdpr", "baseline"],
    )  # fmt: skip
