"""Checkpoint folders: safe to open, whole or absent, and saying what made them.

model.safetensors    the network's parameters and buffers
method.safetensors   the method's state without gradient (memories, prototypes, teachers)
trainer.pt           optimizer, gradient scaler and random states; opened with ``weights_only``
meta.json            epoch, what made it, the SHA-256 of the three others, and that of all this
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pipeline.inputs import read_record
from pipeline.outputs import free_bytes, in_the_way, megabytes
from pipeline.provenance import file_digest
from pipeline.training.method import Method

MODEL, METHOD, TRAINER, META = "model.safetensors", "method.safetensors", "trainer.pt", "meta.json"
SELF = "meta"
"""The key in meta.json of the SHA-256 of all its others."""
KEPT = 2


class CheckpointError(ValueError):
    """A checkpoint folder that is incomplete, altered, or does not fit what loads it."""


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint folder."""

    folder: Path
    meta: dict[str, Any]

    def model(self) -> dict[str, Tensor]:
        """Returns the network's state."""
        return load_file(self.folder / MODEL)

    def restore(self, method: Method) -> dict[str, Any]:
        """Puts the saved state into ``method`` and returns the trainer's part."""
        method.network.load_state_dict(load_file(self.folder / MODEL))
        saved, state = load_file(self.folder / METHOD), method_state(method)
        if saved.keys() != state.keys():
            raise CheckpointError(
                f"{self.folder}: state {sorted(saved)} does not fit the method's {sorted(state)}; "
                "it was saved by another method or version"
            )
        for name, tensor in saved.items():
            with torch.no_grad():
                _set(method, name, tensor)
        return torch.load(self.folder / TRAINER, weights_only=True, map_location="cpu")


def method_state(method: Method) -> dict[str, Tensor]:
    """Returns the method's state outside its network, by name."""
    return {name: value for name, value in method.state_dict().items() if not name.startswith("network.")}


def save(folder: Path, method: Method, trainer: dict[str, Any], meta: dict[str, Any]) -> None:
    """Writes a checkpoint to ``folder``: whole, or not at all.

    It is written beside it, flushed to the disk and renamed; whatever stood there before is replaced.

    Raises:
        CheckpointError: when the disk does not take it, saying how much room it needs.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    network, state = _contiguous(method.network.state_dict()), _contiguous(method_state(method))
    with _written(partial, _num_bytes([network, state, trainer])):
        save_file(network, partial / MODEL)
        save_file(state, partial / METHOD)
        torch.save(trainer, partial / TRAINER)
        digests = {name: file_digest(partial / name) for name in (MODEL, METHOD, TRAINER)}
        _write_meta(partial, {**meta, "files": digests})
        for file in partial.iterdir():
            _flush(file)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    _flush(folder.parent)


def open_checkpoint(folder: Path) -> Checkpoint:
    """Returns the checkpoint in ``folder`` after checking each file against its hash.

    Raises:
        CheckpointError: naming the file that is missing or differs.
    """
    meta = read_meta(folder)
    for name, known in meta["files"].items():
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: {name} is missing")
        if file_digest(folder / name) != known:
            raise CheckpointError(f"{folder}: {name} differs from what was saved (truncated or altered)")
    return Checkpoint(folder, meta)


def read_meta(folder: Path) -> dict[str, Any]:
    """Returns what a checkpoint says of itself.

    Raises:
        CheckpointError: when that is missing, or is not what was saved.
    """
    try:
        meta = read_record(folder / META, {"files": dict})
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder}: no readable {META} ({type(error).__name__}: {error})") from None
    known, files = meta.pop(SELF, None), meta["files"]
    if known != _digest(meta):
        raise CheckpointError(f"{folder}: {META} differs from what was saved (altered, or of an older version)")
    if missing := sorted({MODEL, METHOD} - files.keys()):
        raise CheckpointError(f"{folder}: {META} knows no {missing[0]}")
    return meta


def save_epoch(
    run_folder: Path, epoch: int, method: Method, trainer: dict[str, Any], meta: dict[str, Any], *, steps: int = 0
) -> None:
    """Saves the checkpoint after ``epoch``, and so many steps of the next, and removes all but the newest two."""
    name = f"epoch-{epoch:04d}" + (f"-step-{steps:06d}" if steps else "")
    save(run_folder / name, method, trainer, {**meta, "epoch": epoch})
    for old in _epochs(run_folder)[KEPT:]:
        shutil.rmtree(old)


def publish(found: Checkpoint, folder: Path, meta: dict[str, Any]) -> None:
    """Copies a checkpoint, without what only training needs, to ``folder``, adding ``meta`` to its own."""
    shutil.rmtree(folder, ignore_errors=True)
    files = {name: known for name, known in found.meta["files"].items() if name != TRAINER}
    with _written(folder, sum((found.folder / name).stat().st_size for name in files)):
        for name in files:
            shutil.copyfile(found.folder / name, folder / name)
        _write_meta(folder, {**found.meta, **meta, "files": files})


def latest(run_folder: Path) -> Checkpoint | None:
    """Returns the newest whole checkpoint of a run, or None; damaged ones are passed over and named."""
    for folder in _epochs(run_folder):
        try:
            return open_checkpoint(folder)
        except CheckpointError as error:
            print(f"passing over a damaged checkpoint: {error}", file=sys.stderr)
    return None


@contextmanager
def _written(folder: Path, num_bytes: int) -> Iterator[None]:
    """Makes a folder to write to within it; what a disk does not take is removed, and an error says what it takes."""
    try:
        folder.mkdir(parents=True)
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if why := in_the_way(folder):
            raise CheckpointError(why) from error
        shutil.rmtree(folder, ignore_errors=True)
        raise CheckpointError(
            f"{folder} could not be written: it takes {megabytes(num_bytes)}, and its disk has "
            f"{megabytes(free_bytes(folder))} free. Free some space or raise the quota: the same command goes on from "
            f"the last checkpoint before ({error})"
        ) from error


def _write_meta(folder: Path, meta: dict[str, Any]) -> None:
    written = json.loads(json.dumps(meta))
    (folder / META).write_text(json.dumps({**written, SELF: _digest(written)}, indent=2, sort_keys=True) + "\n")


def _digest(meta: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _num_bytes(tree: Any) -> int:
    """Returns the size of all tensors in nested lists and dictionaries."""
    if isinstance(tree, Tensor):
        return tree.nbytes
    if isinstance(tree, Mapping):
        return sum(map(_num_bytes, tree.values()))
    return sum(map(_num_bytes, tree)) if isinstance(tree, list) else 0


def _epochs(run_folder: Path) -> list[Path]:
    return sorted(run_folder.glob("epoch-*"), reverse=True)


def _contiguous(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}


def _set(module: nn.Module, name: str, value: Tensor) -> None:
    """Sets a buffer or parameter, whose shape may have changed since the method was built (memories grow)."""
    *path, leaf = name.split(".")
    owner = module.get_submodule(".".join(path))
    current = getattr(owner, leaf)
    if current.shape == value.shape:
        current.copy_(value)
    else:
        setattr(owner, leaf, value.to(current))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
