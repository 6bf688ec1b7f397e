"""Trainings of the papers' size, by torch alone: ``python benchmarks/full_scale.py --method mdpr --minutes 60``.

``people_full`` has Market-1501's counts (``people_infrared`` stands in for SYSU-MM01); networks are ResNet-50 from
scratch at 256x128, numbers and schedule those of the paper's block of params.yaml, the latter shortened to as many
epochs as fit into the minutes: an epoch of its own is timed first. The images are rendered once, into ``--work``.
Prints and keeps, in benchmarks/results/NAME.json, seconds per epoch, images/s, peak memory and the test's metrics,
with the command and the hardware. ``--compile`` and ``--groups-at-once`` are those of ``resources`` in params.yaml.
``--small`` is a training of seconds, to see that all of it runs; it keeps nothing.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from speed_comparison.images import PARAMS
from speed_comparison.table import hardware

from pipeline.config import block, load, parse
from pipeline.datasets.prepare import PrepareParams, prepare
from pipeline.experiments import resolve_data, resolve_experiment
from pipeline.images.store import ImageStore
from pipeline.methods.registry import find
from pipeline.scoring.comparison import EvaluationParams
from pipeline.scoring.evaluate import evaluate, flat_metrics, model_from
from pipeline.training import checkpoint
from pipeline.training.experiment import describe, publish, run
from pipeline.training.step import PLAIN, StepParams

RESULTS, TINY = Path(__file__).parent / "results", PARAMS.parent / ".ci" / "tiny.yaml"
PAPERS = {
    "baseline": ("baseline_market1501", "people_full"),
    "mdpr": ("mdpr_market1501", "people_full"),
    "cluster_contrast": ("cluster_contrast_market1501", "people_full"),
    "mskd": ("mskd_teacher_market1501", "people_full"),
    "agw": ("agw_sysu_mm01", "people_infrared"),
    "smmd": ("smmd_sysu_mm01", "people_infrared"),
}
RESNET50 = {"depth": 50, "width": 1.0}
SMALL = {"depth": 50, "width": 0.125}


def prepared(data: str, work: Path, is_small: bool) -> Path:
    """Returns the folder of a generated data set packed at the papers' size, made if it is not there."""
    settings = resolve_data(load(PARAMS), data) | {"height": 256, "width": 128}
    folder = work / f"{data}_256x128"
    if is_small:
        tiny = block(load(TINY), "data", "people_infrared" if "infrared" in data else "people", "people")
        settings |= {"height": 64, "width": 32, "people": settings["people"] | tiny}
        folder = work / f"{data}_small"
    if not (folder / "meta.json").is_file():
        list(prepare(data, parse(PrepareParams, settings, f"data.{data}"), folder))
    return folder


def experiment(method: str, epochs: int | None, is_small: bool) -> dict[str, Any]:
    """Returns the paper's block with a ResNet-50 from scratch, its schedule shortened to ``epochs``."""
    name, data = PAPERS[method]
    found = copy.deepcopy(resolve_experiment(load(PARAMS), name)) | {"data": data, "start": "none"}
    found["settings"]["backbone"] |= SMALL if is_small else RESNET50
    if is_small:
        found["settings"]["batch"] |= {"groups": 1, "identities": 4, "images": 4}
        if "clustering" in found["settings"]:
            found["settings"]["iterations"] = 3
            found["settings"]["clustering"] |= {"k1": 8, "k2": 2, "min_samples": 3}
    training = found["training"]
    share = (epochs or training["epochs"]) / training["epochs"]
    training["epochs"] = epochs or training["epochs"]
    training["warmup_steps"] = round(training["warmup_steps"] * share)
    if training["decay"]["kind"] == "steps":
        training["decay"]["milestones"] = [max(1, round(epoch * share)) for epoch in training["decay"]["milestones"]]
    return found


def train(
    method: str, epochs: int | None, data: Path, work: Path, is_small: bool, step: StepParams = PLAIN
) -> dict[str, Any]:
    """Returns what a training of ``epochs`` took and reached, None being all of the paper's."""
    tree = experiment(method, epochs, is_small)
    job = describe(f"{method}_full", tree, find(tree["method"]), data, work / "runs")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ends = [time.perf_counter()]
    history = run(job, lambda metrics: ends.append(time.perf_counter()), device, step=step)
    publish(job, work / job.name, history, None)
    store, kept = ImageStore(data), checkpoint.open_checkpoint(work / job.name)
    scored = evaluate(
        model_from(kept, job.method, store), store,
        parse(EvaluationParams, block(load(PARAMS), "evaluation"), "evaluation"), work / f"{job.name}_test",
    )  # fmt: skip
    of_gpu = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else None
    return {
        "method": method,
        "experiment": PAPERS[method][0],
        "data": data.name,
        "epochs": len(history),
        "epochs_of_paper": resolve_experiment(load(PARAMS), PAPERS[method][0])["training"]["epochs"],
        "seconds_per_epoch": round((ends[-1] - ends[0]) / len(history), 2),
        "images_per_second": round(history[-1]["images_per_second"], 1),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "peak_gpu_memory_gb": of_gpu and round(of_gpu, 2),
        "metrics": flat_metrics(scored),
        "precision": kept.meta["precision"],
        "step": dict(step),
        "commit": kept.meta["commit"],
        "command": " ".join(["python", *sys.argv]),
        "hardware": hardware(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=PAPERS, nargs="+", default=[], help="trainings of hours each")
    parser.add_argument("--minutes", type=float, help="of training for each method; all of the paper's if not given")
    parser.add_argument("--work", type=Path, default=Path("data/full_scale"), help="where images and checkpoints go")
    parser.add_argument("--small", action="store_true", help="a training of seconds on tiny images; keeps no result")
    parser.add_argument("--compile", action="store_true", help="have torch.compile fuse the networks")
    parser.add_argument("--groups-at-once", type=int, default=1, help="how many groups make one pass")
    given = parser.parse_args()
    step = StepParams(recompute=False, compile=given.compile, groups_at_once=given.groups_at_once)
    if not given.method:  # as `make bench` calls it
        parser.print_help()
    for method in given.method:
        data = prepared(PAPERS[method][1], given.work, given.small)
        epochs = 2 if given.small else None
        if given.minutes and not given.small:
            timed = train(method, 1, data, given.work, given.small, step)
            fitting = int(given.minutes * 60 / timed["seconds_per_epoch"])
            epochs = max(1, min(fitting, timed["epochs_of_paper"]))
        found = train(method, epochs, data, given.work, given.small, step)
        print(json.dumps(found, indent=1), flush=True)
        if not given.small:
            RESULTS.mkdir(exist_ok=True)
            (RESULTS / f"{method}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
