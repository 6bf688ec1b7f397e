"""Where a network starts from, and how someone else's weights get in."""

from __future__ import annotations

import hashlib
import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy._core.multiarray import _reconstruct, scalar
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.inputs import check_plain

IMAGENET = ("resnet18", "resnet34", "resnet50", "resnet101")
NUMBER_TYPES = {type(np.dtype(code)) for code in np.typecodes["AllInteger"] + "?efd"}
COUNTER = ".num_batches_tracked"
"""The end of names that torchvision's first files don't have."""
NUMPY_SCALARS: list[Any] = [
    np.dtype,
    np.ndarray,
    *NUMBER_TYPES,
    *(
        (make, f"numpy.{core}.multiarray.{make.__name__}")
        for core in ("core", "_core")
        for make in (scalar, _reconstruct)
    ),
]
"""What a torch file may hold besides tensors and plain Python: training loops save such scalars."""


class WeightsError(ValueError):
    """Weights that are absent, unreadable, or of another network."""


class HasBackbone(Protocol):
    """A network that starts from a backbone's weights; ``architecture`` is ``ResNet.architecture``."""

    architecture: str

    def backbone_modules(self) -> list[tuple[str, nn.Module]]:
        """Returns the modules to fill, each with its name in a ``ResNet``; a name may come twice."""
        ...


@dataclass(frozen=True)
class Fit:
    """What a file has filled of a backbone that is another one, layer by layer: ``layer1.*.conv1`` is of all blocks.

    ``filled``: by the file. ``left``: of the backbone, not in the file, as they were drawn. ``skipped``: of the file,
    not in the backbone.
    """

    filled: list[str]
    left: list[str]
    skipped: list[str]

    def __str__(self) -> str:
        parts = (("filled", self.filled), ("left as drawn", self.left), ("skipped of the file", self.skipped))
        return "; ".join(f"{kind}: {', '.join(names) or 'nothing'}" for kind, names in parts)


def load_start(network: HasBackbone, source: str, *, partial: bool = False) -> Fit | None:
    """Fills the network's backbone: ``source`` is "none" (as it is), "imagenet" (torchvision's), or a file.

    A file holds a ResNet by torchvision's names, or a network of ours or fast-reid's whose ``backbone`` is taken. With
    ``partial`` it may lack tensors and have others; what it did is returned.

    Raises:
        WeightsError: saying which file to provide and where, or how it differs from the backbone.
    """
    if source == "none":
        return None
    state = imagenet(network.architecture) if source == "imagenet" else read_state(Path(source))
    if partial:
        return load_part(network, state)
    load_backbone(network, state)
    return None


def read_state(path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a ``.safetensors`` file or a torch file, by name.

    A torch file is opened without running code from it. Of ``{"model": ...}`` and ``{"state_dict": ...}`` the inner
    part is taken, and the ``module.`` of data-parallel wrappers is dropped.

    Raises:
        WeightsError: for a file that is absent, unreadable or without tensors.
    """
    try:
        check_plain(path)
    except FileNotFoundError:
        raise WeightsError(f"no weights at {path.resolve()}: put the file there, or name another one") from None
    except ValueError as error:
        raise WeightsError(f"{error} of weights") from None
    state: Any
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            with torch.serialization.safe_globals(NUMPY_SCALARS):
                state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        culprit = found.group(1) if found else "unreadable content"
        raise WeightsError(f"{path} is not a file of tensors, numbers and text alone: it has {culprit}") from None
    except Exception as error:  # both libraries raise many kinds for a damaged file
        raise WeightsError(f"{path} is neither a safetensors nor a torch file, or is damaged: {error}") from error
    for wrapper in ("model", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    tensors = state.items() if isinstance(state, Mapping) else ()
    named = {str(name): tensor for name, tensor in tensors if isinstance(tensor, Tensor)}
    if not named:
        raise WeightsError(f"{path} holds no tensors by name: expected a state_dict")
    return {name.removeprefix("module."): tensor for name, tensor in named.items()}


def imagenet(architecture: str) -> dict[str, Tensor]:
    """Returns torchvision's ImageNet weights (its first version) of a ResNet, checked against their hash.

    They are fetched once into torch's hub folder (``TORCH_HOME``).

    Raises:
        WeightsError: for a backbone that has none, and when they can't be had, naming the file to provide.
    """
    from torchvision.models import get_model_weights

    if architecture not in IMAGENET:
        raise WeightsError(
            f"torchvision has ImageNet weights for {', '.join(IMAGENET)}, not for {architecture}: "
            "give the path of a file as start (IBN-a: XingangPan/IBN-Net), or none"
        )
    url = get_model_weights(architecture).IMAGENET1K_V1.url
    name = url.rsplit("/", 1)[1]
    digest = name.removesuffix(".pth").rsplit("-", 1)[1]
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=False)
        except (OSError, RuntimeError) as error:
            raise WeightsError(
                f"could not fetch {url} ({error}); without a network, put {name} into {path.parent}, "
                "or give its path as start"
            ) from None
    with path.open("rb") as file:
        if not hashlib.file_digest(file, "sha256").hexdigest().startswith(digest):
            raise WeightsError(f"{path} is not the file that its name says (SHA-256): delete it, then start again")
    return read_state(path)


def load_backbone(network: HasBackbone, state: Mapping[str, Tensor]) -> None:
    """Fills the network's backbone from a ResNet's state; its classifier ``fc`` is left out.

    Raises:
        WeightsError: naming tensors that are missing, unexpected or of another shape.
    """
    given, expected = _backbone_part(state), _expected(network)
    _check_fit(given, expected, network.architecture)
    _fill(network, given)


def load_part(network: HasBackbone, state: Mapping[str, Tensor]) -> Fit:
    """Fills what the network's backbone shares with a ResNet's state, by name, and returns what that was.

    Source: KuilongCui/MDPR 89d9737, ``build_resnet_backbone``, which loads with ``strict=False``.

    Raises:
        WeightsError: when nothing is shared, or naming tensors that are of another shape.
    """
    given, expected = _backbone_part(state), _expected(network)
    shared = {name: tensor for name, tensor in given.items() if name in expected}
    _check_fit(shared, {name: tensor for name, tensor in expected.items() if name in shared}, network.architecture)
    if not shared:
        raise WeightsError(f"start: no tensor of the file has a name of {network.architecture}: name another file")
    _fill(network, shared)
    return Fit(_layers(shared), _layers(expected.keys() - shared.keys()), _layers(given.keys() - shared.keys()))


def _backbone_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors of a ResNet's state, or of the ``backbone`` in a larger one, without a classifier."""
    inner = {name.removeprefix("backbone."): t for name, t in state.items() if name.startswith("backbone.")}
    return {name: t for name, t in (inner or state).items() if not name.startswith("fc.")}


def _expected(network: HasBackbone) -> dict[str, Tensor]:
    return {
        f"{prefix}.{name}": t for prefix, part in network.backbone_modules() for name, t in part.state_dict().items()
    }


def _fill(network: HasBackbone, given: Mapping[str, Tensor]) -> None:
    for prefix, part in network.backbone_modules():
        own = {name: given.get(f"{prefix}.{name}", tensor) for name, tensor in part.state_dict().items()}
        part.load_state_dict(own)


def _layers(names: Iterable[str]) -> list[str]:
    """Returns the layers whose tensors these are, the blocks of a stage as one."""
    layers = {name.rpartition(".")[0] for name in names if not name.endswith(COUNTER)}
    return sorted({re.sub(r"^(layer\d)\.\d+\.", r"\1.*.", layer) for layer in layers})


def load_network(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Fills a whole network, except classifiers of other identities; returns the names of those.

    Raises:
        WeightsError: naming tensors that are missing, unexpected or of another shape.
    """
    own = network.state_dict()
    classifiers = [name for name in own if "classifier." in name]
    left_out = [name for name in classifiers if name not in state or state[name].shape != own[name].shape]
    given = {name: tensor for name, tensor in state.items() if name not in left_out}
    expected = {name: tensor for name, tensor in own.items() if name not in left_out}
    _check_fit(given, expected, type(network).__name__)
    network.load_state_dict({**own, **given})
    return left_out


def _check_fit(given: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    problems = {
        "missing": [name for name in expected if name not in given and not name.endswith(COUNTER)],
        "unexpected": [name for name in given if name not in expected],
        "of another shape": [
            f"{name} {list(given[name].shape)} instead of {list(tensor.shape)}"
            for name, tensor in expected.items()
            if name in given and given[name].shape != tensor.shape
        ],
    }
    lines = [
        f"{len(names)} {kind}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
        for kind, names in problems.items()
        if names
    ]
    if lines:
        raise WeightsError(f"the weights are not those of {what}:\n  " + "\n  ".join(lines))
