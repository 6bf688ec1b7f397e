import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.images.store import ImageStore
from pipeline.inference import embed_images, list_images, open_network, read_images
from tests.noise import BASELINE
from tests.report.conftest import write_training


@pytest.fixture(scope="module")
def trainings(noise, tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    write_training(folder, ImageStore(noise), "baseline", BASELINE)
    return folder


def test_a_network_stands_where_it_is_asked_to_and_knows_its_size_and_its_makers(trainings):
    network = open_network(trainings / "baseline", torch.device("cpu"))
    assert (network.height, network.width, network.meta["name"]) == (32, 16, "baseline")
    assert not network.embedder.training
    assert next(network.embedder.parameters()).device.type == "cpu"


def test_a_network_of_parameters_that_the_code_has_no_more_is_refused(trainings, noise):
    changed = {**BASELINE, "settings": {**BASELINE["settings"], "center_loss": 0.1}}
    with pytest.raises(ValueError, match=r"settings\.center_loss: unknown key"):
        write_training(trainings, ImageStore(noise), "changed", changed)


def test_a_network_whose_weights_were_altered_is_refused(noise, tmp_path):
    write_training(tmp_path, ImageStore(noise), "baseline", BASELINE)
    weights = tmp_path / "baseline" / "model.safetensors"
    as_saved = weights.read_bytes()
    weights.write_bytes(as_saved[:-8] + bytes([as_saved[-8] ^ 1]) + as_saved[-7:])
    with pytest.raises(ValueError, match=r"model\.safetensors differs from what was saved"):
        open_network(tmp_path / "baseline")


def test_files_become_the_images_that_were_packed(noise, tmp_path):
    images = ImageStore(noise).images[:3]
    for place, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{place}.png")
    np.testing.assert_array_equal(read_images(list_images(tmp_path), 32, 16, "bicubic"), images)


def test_an_embedding_does_not_depend_on_the_rest_of_its_batch(trainings, noise):
    network, images = open_network(trainings / "baseline"), np.array(ImageStore(noise).images[:5])
    alone = np.concatenate([embed_images(network, images[[row]], np.zeros(1, bool)) for row in range(5)])
    np.testing.assert_allclose(embed_images(network, images, np.zeros(5, bool)), alone, rtol=1e-4, atol=1e-5)
