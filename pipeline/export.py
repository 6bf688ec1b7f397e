"""A trained network for use without this project.

Writes ``embedder.onnx`` (any ONNX runtime), ``embedder.pt2`` (torch.export) and ``embedder.json``, which says what they
take and give. The normalisation of images is part of both graphs. No file is left in the folder unless what was read
back from it gives the embeddings that the network gives here.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.batches.transforms import MEAN, STD, normalize
from pipeline.datasets.resizing import resize
from pipeline.evaluation.postprocessing import unit_rows
from pipeline.inference import Network, embed_images, list_images, open_network, read_images
from pipeline.layers.embedder import Embedder
from pipeline.provenance import file_digest

ONNX, TORCH, CARD = "embedder.onnx", "embedder.pt2", "embedder.json"
INPUTS, OUTPUT = ("images", "is_infrared"), "embeddings"
FREE = "batch"
"""What the axis is called whose length is free: the number of images."""
BATCHES = (1, 7, 32)
NEAREST = 10
LOWEST_COSINE = 0.9999
ROUNDING = 1e-5
"""Two gallery images may change places where their cosines to the query differ by no more."""

Run = Callable[[Sequence[np.ndarray]], np.ndarray]
"""An exported file at work: a batch's inputs -> its embeddings ``[B, D]``."""


class ExportError(ValueError):
    """A file that does not give the embeddings of the network it was made from."""


class FromPixels(nn.Module):
    """Images as they lie in memory, ``[B, H, W, 3]`` uint8 RGB, -> embeddings ``[B, D]`` as evaluation uses them.

    A network that is told the modality takes ``is_infrared [B]`` too.
    """

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self._embedder = (
            embedder,
        )  # in a tuple, so that it is no part: graphs can't hold parts named as Python's words
        self._names = {name: name.replace(".", "_") for name in embedder.state_dict()}
        for name, tensor in embedder.state_dict().items():
            self.register_buffer(self._names[name], tensor)

    def forward(self, images: Tensor, is_infrared: Tensor | None = None) -> Tensor:
        """Returns the embeddings."""
        state = {name: getattr(self, flat) for name, flat in self._names.items()}
        normalized = normalize(images.permute(0, 3, 1, 2), torch.float32)
        return torch.func.functional_call(self._embedder[0], state, (normalized, is_infrared))


def export(checkpoint: Path, out: Path, gallery: Path | None = None) -> dict[str, Any]:
    """Writes the files of a checkpoint folder to ``out`` and returns what ``embedder.json`` says.

    They are checked on the images of the folder ``gallery``, else on generated patterns of colour.

    Raises:
        ExportError: when a file's embeddings differ from the network's; ``out`` is then as it was.
        ValueError: when there is no whole checkpoint, or too few images.
    """
    network = open_network(checkpoint, torch.device("cpu"))
    images = draw_patterns(network) if gallery is None else read_gallery(gallery, network)
    partial = out / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        write_graphs(network, partial)
        cosines = {file: check(partial / file, network, images) for file in READERS}
        card = describe(network, len(images), "patterns of colour" if gallery is None else str(gallery), cosines)
        card["files"] = {file: file_digest(partial / file) for file in READERS}
        (partial / CARD).write_text(json.dumps(card, indent=2) + "\n")
        (out / CARD).unlink(missing_ok=True)  # it stands beside no other files than it describes
        for file in (*READERS, CARD):
            (partial / file).replace(out / file)
    finally:
        shutil.rmtree(partial)
    return card


def draw_patterns(network: Network) -> np.ndarray:
    """Returns images ``[N, H, W, 3]`` of random patches of colour, enough for a batch of each size, always the same."""
    coarse = np.random.default_rng(0).integers(0, 256, (sum(BATCHES), 8, 4, 3), dtype=np.uint8)
    return np.stack([resize(one, network.height, network.width, network.resampling) for one in coarse])


def read_gallery(folder: Path, network: Network) -> np.ndarray:
    """Returns the images of a folder as the network takes them, ``[N, H, W, 3]``.

    Raises:
        ValueError: when they are too few for a batch of each size.
    """
    files = list_images(folder)
    if len(files) < sum(BATCHES):
        raise ValueError(f"{folder}: expected {sum(BATCHES)} images to check by, or more, got {len(files)}")
    return read_images(files, network.height, network.width, network.resampling)


def write_graphs(network: Network, folder: Path) -> None:
    """Writes both files, in which the number of images is free.

    ONNX comes from torch's exporter by torch.export, so that both files hold one graph.
    """
    inputs = inputs_of(network, np.zeros((2, network.height, network.width, 3), np.uint8))
    example = tuple(torch.from_numpy(one) for one in inputs)
    batch = torch.export.Dim(FREE, min=1)
    model = FromPixels(network.embedder).eval()
    program = torch.export.export(model, example, dynamic_shapes=tuple({0: batch} for _ in example), strict=False)
    torch.export.save(program, folder / TORCH)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="# The axis name: ", category=UserWarning)  # of a second input
        torch.onnx.export(
            program,
            (),
            folder / ONNX,
            input_names=INPUTS[: len(example)],
            output_names=[OUTPUT],
            dynamic_shapes=tuple({0: FREE} for _ in example),
            external_data=False,
            verbose=False,
        )


def inputs_of(network: Network, images: np.ndarray) -> list[np.ndarray]:
    """Returns what the files take for a batch; every second image is infrared where a network is told it."""
    return [images, modalities(images)] if network.embedder.by_modality else [images]


def modalities(images: np.ndarray) -> np.ndarray:
    """Returns that every second image is infrared, ``[B]``."""
    return np.arange(len(images)) % 2 == 1


def open_onnx(file: Path) -> Run:
    """Returns an ONNX file at work, on CPUs."""
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run([OUTPUT], dict(zip(INPUTS, inputs, strict=False)))[0]


def open_program(file: Path) -> Run:
    """Returns a file of torch.export at work."""
    module = torch.export.load(file).module()

    def run(inputs: Sequence[np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            return module(*(torch.from_numpy(one) for one in inputs)).numpy()

    return run


READERS: dict[str, Callable[[Path], Run]] = {ONNX: open_onnx, TORCH: open_program}


def check(file: Path, network: Network, images: np.ndarray) -> float:
    """Returns the lowest cosine between a file's embeddings and the network's, in batches of 1, 7 and 32 images.

    Raises:
        ExportError: when it is below 0.9999, when an image's ten nearest among the others are not the same, or when the
            file does not take one of the batches.
    """
    expected, found = [], []
    sizes = [*BATCHES, *[BATCHES[-1]] * (len(images) // BATCHES[-1])]
    try:
        run = READERS[file.name](file)
        for batch in filter(len, np.split(images, np.cumsum(sizes))):
            expected.append(embed_images(network, batch, modalities(batch)))
            found.append(run(inputs_of(network, batch)))
    except Exception as error:  # every runtime has its own
        raise ExportError(f"{file.name} does not run on a batch of {sizes[len(found)]}: {error}") from error
    ours, theirs = unit_rows(np.concatenate(expected)), unit_rows(np.concatenate(found))
    lowest = float((ours.astype(np.float64) * theirs).sum(axis=1).min())
    if not lowest >= LOWEST_COSINE:
        raise ExportError(
            f"{file.name}: embeddings differ: lowest cosine {lowest:.6f}, at least {LOWEST_COSINE} expected"
        )
    if moved := moved_neighbors(ours, theirs):
        raise ExportError(f"{file.name}: {moved} of {len(images)} images have other nearest images")
    return lowest


def moved_neighbors(ours: np.ndarray, theirs: np.ndarray) -> int:
    """Returns how many rows have other rows among their ten nearest, or in another order, but for rounding.

    Both are ``[N, D]`` of length 1. By ``ours``, the k-th nearest of ``theirs`` has to be as near as that of ``ours``.
    """
    similarities, order = [], []
    for rows in (ours.astype(np.float64), theirs.astype(np.float64)):
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, -np.inf)  # nobody is his own neighbour
        similarities.append(cosines)
        order.append(np.argsort(-cosines, axis=1, kind="stable")[:, :NEAREST])
    best, chosen = (np.take_along_axis(similarities[0], places, axis=1) for places in order)
    return int(np.any(np.abs(best - chosen) > ROUNDING, axis=1).sum())


def describe(network: Network, num_images: int, gallery: str, cosines: dict[str, float]) -> dict[str, Any]:
    """Returns what whoever uses the files has to know."""
    inputs = {
        "images": {
            "shape": [FREE, network.height, network.width, 3],
            "type": "uint8",
            "what": f"RGB, 0 to 255, one person each, resized by a {network.resampling} filter",
        }
    }
    if network.embedder.by_modality:
        inputs["is_infrared"] = {"shape": [FREE], "type": "bool", "what": "false: visible light; true: infrared"}
    width = embed_images(network, draw_patterns(network)[:1], np.zeros(1, bool)).shape[1]
    meta = network.meta
    return {
        "experiment": meta["name"],
        "method": meta["experiment"]["method"],
        "epoch": meta["epoch"],
        "commit": meta["commit"],
        "inputs": inputs,
        "normalisation": {"done": "in the graph", "mean": list(MEAN), "std": list(STD)},
        "outputs": {OUTPUT: {"shape": [FREE, width], "type": "float32", "what": "compare by cosine; not of length 1"}},
        "checked": {"images": num_images, "of": gallery, "batches": list(BATCHES), "lowest_cosine": cosines},
        "versions": {package: version(package) for package in ("torch", "onnx", "onnxscript", "onnxruntime")},
    }
