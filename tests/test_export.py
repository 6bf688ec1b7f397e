import json

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from pipeline import export
from pipeline.images.store import ImageStore
from pipeline.inference import open_network
from tests.methods.examples import examples
from tests.report.conftest import write_training


@pytest.fixture(scope="module")
def trainings(noise, tmp_path_factory):
    """A folder of checkpoints by every method, their statistics and shifts moved as a training moves them."""
    folder, store = tmp_path_factory.mktemp("train"), ImageStore(noise)
    for name, example in examples().items():
        write_training(folder, store, name, example.block)
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "exported"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (example.is_variant or name == "baseline"))
        for name, example in examples().items()
    ],
)
def test_every_method_is_exported_and_agrees(trainings, name, out):
    card = export.export(trainings / name, out)
    assert sorted(file.name for file in out.iterdir()) == ["embedder.json", "embedder.onnx", "embedder.pt2"]
    assert card == json.loads((out / "embedder.json").read_text())
    assert card["checked"]["batches"] == [1, 7, 32]
    session = onnxruntime.InferenceSession(out / "embedder.onnx", providers=["CPUExecutionProvider"])
    shapes = {one.name: one.shape for one in (*session.get_inputs(), *session.get_outputs())}
    assert shapes == {name: one["shape"] for name, one in {**card["inputs"], **card["outputs"]}.items()}
    assert shapes["images"][0] == "batch"
    assert min(card["checked"]["lowest_cosine"].values()) >= 0.9999
    is_told = examples()[name].build().embedder().by_modality
    assert list(card["inputs"]) == (["images", "is_infrared"] if is_told else ["images"])
    network = open_network(trainings / name, torch.device("cpu"))
    images = export.draw_patterns(network)[:5]
    for file, reader in export.READERS.items():
        found = reader(out / file)(export.inputs_of(network, images))
        assert found.shape == (5, card["outputs"]["embeddings"]["shape"][1])
        assert found.dtype == np.float32


def test_files_of_another_network_are_refused_and_none_is_left(trainings, out, monkeypatch):
    whole = export.FromPixels.forward
    monkeypatch.setattr(  # blue first
        export.FromPixels, "forward", lambda model, images, is_infrared=None: whole(model, images.flip(-1), is_infrared)
    )
    with pytest.raises(export.ExportError, match=r"embedder\.(onnx|pt2): (embeddings differ: lowest cosine|\d+ of 40)"):
        export.export(trainings / "baseline", out)
    assert list(out.iterdir()) == []


def test_files_that_take_one_size_of_batch_are_refused_and_none_is_left(trainings, out, monkeypatch):
    whole = torch.export.export
    monkeypatch.setattr(
        torch.export, "export", lambda model, example, dynamic_shapes, strict: whole(model, example, strict=strict)
    )
    with pytest.raises(export.ExportError, match=r"does not run on a batch of 1"):
        export.export(trainings / "baseline", out)
    assert list(out.iterdir()) == []


def test_a_refused_export_leaves_an_earlier_one_whole(trainings, out, monkeypatch):
    out.mkdir()
    for name in ("embedder.onnx", "embedder.pt2", "embedder.json"):
        (out / name).write_text("earlier")
    monkeypatch.setattr(
        export, "write_graphs", lambda network, folder: (folder / "embedder.onnx").write_text("no graph")
    )
    with pytest.raises(export.ExportError, match=r"embedder\.onnx does not run"):
        export.export(trainings / "baseline", out)
    assert {file.name: file.read_text() for file in out.iterdir()} == dict.fromkeys(
        ("embedder.onnx", "embedder.pt2", "embedder.json"), "earlier"
    )


def test_nearest_images_may_change_places_only_where_they_are_equally_near():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(40, 8))
    rows[1] = rows[0] + 1e-7 * generator.normal(size=8)
    ours = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    swapped = ours.copy()
    swapped[[0, 1]] = ours[[1, 0]]
    assert export.moved_neighbors(ours, ours) == 0
    assert export.moved_neighbors(ours, swapped) == 0
    swapped[[2, 3]] = ours[[3, 2]]
    assert export.moved_neighbors(ours, swapped) > 2


def test_a_gallery_of_ones_own_is_checked_by_and_must_be_large_enough(trainings, tmp_path, noise):
    network = open_network(trainings / "baseline", torch.device("cpu"))
    images = ImageStore(noise).images
    for row in range(40):
        Image.fromarray(images[row]).save(tmp_path / f"{row:02d}.png")
    np.testing.assert_array_equal(export.read_gallery(tmp_path, network), images[:40])
    (tmp_path / "00.png").unlink()
    with pytest.raises(ValueError, match="expected 40 images to check by, or more, got 39"):
        export.read_gallery(tmp_path, network)
