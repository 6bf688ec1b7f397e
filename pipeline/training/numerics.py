"""The numerics mark of an experiment: the losses of its first steps, which are the same on every machine to 1e-9.

A change of code that keeps the marks keeps the results that were made before it. One that moves a mark makes the
results of that experiment stale (``pipeline.results``).
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pipeline.batches.counter_rng import uniform
from pipeline.images import store, table
from pipeline.training.experiment import Job, run
from pipeline.training.method import Method

EPOCHS, STEPS = 4, 5
HEIGHT, WIDTH = 64, 32
BATCH = {"groups": 2, "identities": 4, "images": 4}
IDENTITIES, IMAGES, CAMERAS = 16, 10, 4


class _MarkedError(Exception):
    """Ends a training whose mark is complete."""


def find_mark(block: Mapping[str, Any], kind: type[Method]) -> list[float]:
    """Returns the mean loss of each of the first four epochs on a small drawn set, in float64 on the CPU.

    Weights and images are drawn, the same on every machine, so that nothing need be trained before: a student's teacher
    is drawn too, and its clusters are its own. Images are of 64x32 pixels, half of them infrared; a batch has at most
    two groups of 4 x 4, and passes of a fixed number of steps have five. All else is as ``block`` says, that of
    ``pipeline.experiments.resolve``, its schedule too.
    """
    settings = dict(block["settings"])
    settings["batch"] = {key: min(most, settings["batch"][key]) for key, most in BATCH.items()}
    if "iterations" in settings:
        settings["iterations"] = STEPS
    if settings.get("first_pass"):
        settings["first_pass"] = {**settings["first_pass"], "iterations": STEPS, "clusters": None}
    training = {**block["training"], "precision": "float64"}
    found: list[float] = []

    def report(metrics: dict[str, float]) -> None:
        found.append(metrics["loss"])
        if len(found) == EPOCHS:
            raise _MarkedError

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data")
        _write_drawn(data)
        job = Job(
            name=f"mark of {kind.__name__}",
            experiment={**block, "start": "none", "training": training, "settings": settings},
            method=_filled(kind),
            data=data,
            run_folder=Path(folder, "run"),
            start="none",
            sources={},
            groups=settings["batch"]["groups"],
            meta={"num_classes": IDENTITIES if kind.supervision == "supervised" else 1},
        )
        with contextlib.suppress(_MarkedError), contextlib.redirect_stderr(io.StringIO()):
            run(job, report, torch.device("cpu"))
    return found


def _filled(kind: type[Method]) -> type[Method]:
    """Returns a method all of whose networks are filled before training begins."""

    def begin_training(self: Method, *given: Any) -> None:
        kind.begin_training(self, *given)
        for place, (name, tensor) in enumerate(self.state_dict(keep_vars=True).items()):
            if tensor.is_floating_point() and tensor.numel():
                with torch.no_grad():
                    tensor.copy_(_drawn(name, place, tensor))

    return type(kind.__name__, (kind,), {"begin_training": begin_training})


def _drawn(name: str, place: int, tensor: torch.Tensor) -> torch.Tensor:
    """Returns what an entry of the state is filled with: values near those of a network that begins to train."""
    shares = 2 * uniform(1, "state", place, np.arange(1), tensor.numel()).reshape(tensor.shape) - 1
    if name.endswith("running_var"):
        values = 1 + 0.5 * np.abs(shares)
    elif name.endswith(("running_mean", "bias")):
        values = 0.1 * shares
    elif tensor.dim() < 2:
        values = tensor.detach().numpy() + 0.1 * shares
    else:
        values = shares * np.sqrt(3 / np.prod(tensor.shape[1:]))
    return torch.from_numpy(values)


def _write_drawn(folder: Path) -> None:
    """Writes a store of drawn images: patterns of identities, of cameras, and noise."""
    rows = [(person, image) for person in range(IDENTITIES) for image in range(IMAGES)]
    people, views = _noise("people", IDENTITIES), _noise("cameras", CAMERAS)
    shown = np.stack([2 * people[person] + views[image % CAMERAS] for person, image in rows])
    images = (shown + _noise("images", len(rows))) // 4
    listed = pd.DataFrame(
        {
            "path": [f"{place}.png" for place in range(len(rows))],
            "person_id": [person + 1 for person, _ in rows],
            "camera_id": [image % CAMERAS + 1 for _, image in rows],
            "modality": ["infrared" if image % 2 else "visible" for _, image in rows],
            "split": "train",
            "role": "train",
            "width": WIDTH,
            "height": HEIGHT,
            "sha256": [str(place) for place in range(len(rows))],
        }
    )
    folder.mkdir()
    table.write(listed, folder / store.TABLE_FILE)
    np.save(folder / store.IMAGES_FILE, images.astype(np.uint8))
    meta = {"height": HEIGHT, "width": WIDTH, "counts": asdict(table.count(listed))}
    meta["fingerprint"] = table.fingerprint(listed)
    (folder / store.META_FILE).write_text(json.dumps(meta))


def _noise(stream: str, count: int) -> np.ndarray:
    """Returns levels from 0 to 255, int64 ``[count, HEIGHT, WIDTH, 3]``."""
    drawn = uniform(1, stream, 0, np.arange(count), HEIGHT * WIDTH * 3)
    return (drawn * 256).astype(np.int64).reshape(count, HEIGHT, WIDTH, 3)
