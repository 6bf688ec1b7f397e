import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.batches.loading import Batch
from pipeline.layers.pooling import AveragePool
from pipeline.methods.smmd.authors import agw_from_authors
from pipeline.methods.smmd.losses import WeightedTripletLoss
from pipeline.methods.smmd.method import TwoStream, TwoStreamParams

GOLDEN = Path(__file__).parents[1] / "golden"
REFERENCE = json.loads((GOLDEN / "agw_network_r50.json").read_text())
EXPECTED = dict(np.load(GOLDEN / "agw_network_r50.npz"))
LABELS = torch.tensor([3, 3, 8, 8, 3, 3, 8, 8])
IS_INFRARED = torch.arange(8) >= 4
SHUFFLED = torch.tensor([4, 0, 1, 5, 6, 2, 7, 3])
PROBES = {
    "visible_stem": "visible",
    "thermal_stem": "infrared",
    "layer1_last_block": "trunk.layer1.2",
    "NL_2.0": "non_local.layer2.0",
    "layer2_last_block": "trunk.layer2.3",
    "NL_2.1": "non_local.layer2.1",
    "NL_3.0": "non_local.layer3.0",
    "NL_3.1": "non_local.layer3.1",
    "layer3_last_block": "trunk.layer3.5",
    "NL_3.2": "non_local.layer3.2",
    "layer4_last_block": "trunk.layer4.2",
    "bottleneck": "neck",
}


@pytest.fixture(scope="module")
def images(rules):
    sides = [2 * rules.images([4, 3, 72, 36], first=first) for first in (0, 4)]
    for name, side in zip(("visible", "thermal"), sides, strict=True):
        np.testing.assert_array_equal(side.ravel()[:8], EXPECTED[f"check/{name}_first8"])
    return torch.cat(sides)


AGW = TwoStreamParams.model_validate(
    {
        "backbone": {"depth": 50, "width": 1.0, "ibn": False, "last_stride": 1, "stem_pool": "padded"},
        "pooling": "gem",
        "non_local": (0, 2, 3, 0),
        "smoothing": 0.0,
        "triplet_margin": None,
        "batch": {"groups": 1, "identities": 2, "images": 2},
    }
)


@pytest.fixture
def method(rules):
    method = TwoStream(AGW, num_classes=395, height=72, width=36, seed=0).double()
    method.network.load_state_dict(method.from_authors(rules.state(REFERENCE["state_dict"])))
    return method


@pytest.fixture
def network(method):
    return method.network


def record(network, rules):
    found = {}
    for name, module in PROBES.items():
        network.get_submodule(module).register_forward_hook(
            lambda _, __, out, name=name: found.__setitem__(name, rules.probe(out))
        )
    return found


def assert_probes(found, mode):
    for name in PROBES:
        np.testing.assert_allclose(found[name], EXPECTED[f"{mode}/{name}"], rtol=1e-9, atol=1e-9, err_msg=name)


def unit(vectors):
    return torch.nn.functional.normalize(vectors, dim=1)


def test_features_equal_the_authors(network, images, rules):
    found = record(network.eval(), rules)
    with torch.no_grad():
        output = network(images, IS_INFRARED)
    assert_probes(found, "eval")
    np.testing.assert_allclose(unit(output.pooled), EXPECTED["eval/pool"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(unit(output.vector), EXPECTED["eval/bn"], rtol=1e-9, atol=1e-12)


def test_the_order_of_the_images_changes_nothing_but_the_order(network, images):
    network.eval()
    with torch.no_grad():
        vectors = network.embed(images, IS_INFRARED)
        shuffled = network.embed(images[SHUFFLED], IS_INFRARED[SHUFFLED])
        alone = network.embed(images[:4], IS_INFRARED[:4])
    torch.testing.assert_close(shuffled, vectors[SHUFFLED], rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(alone, vectors[:4], rtol=1e-11, atol=1e-11)


def test_average_pooling_equals_the_authors(network, images):
    network.eval().pool = AveragePool()
    with torch.no_grad():
        output = network(images[:4], IS_INFRARED[:4])
    np.testing.assert_allclose(unit(output.pooled), EXPECTED["eval/pool_other_gm_pool"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(unit(output.vector), EXPECTED["eval/bn_other_gm_pool"], rtol=1e-9, atol=1e-12)


def test_a_training_step_equals_the_authors(method, network, images, rules):
    found = record(network.train(), rules)
    outputs = []
    network.register_forward_hook(lambda _, __, output: outputs.append(output))
    step = method(Batch(images, LABELS, IS_INFRARED, torch.arange(8)))
    step.loss.backward()
    assert_probes(found, "train")
    np.testing.assert_allclose(outputs[0].pooled.detach(), EXPECTED["train/pool"], rtol=1e-9)
    np.testing.assert_allclose(outputs[0].logits.detach(), EXPECTED["train/logits"], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(step.parts["identity"], EXPECTED["loss/id"], rtol=1e-9)
    np.testing.assert_allclose(step.parts["triplet"], EXPECTED["loss/triplet"], rtol=1e-9)
    np.testing.assert_allclose(step.loss.item(), EXPECTED["loss/total"], rtol=1e-9)
    assert_norms(network, "grad_parameters", "train/grad_norm", lambda name: network.get_parameter(name).grad)
    assert_norms(network, "updated_buffers", "train/buffer_norm", network.get_buffer)


def assert_norms(network, names, norms, get):
    expected = dict(zip(REFERENCE[names], EXPECTED[norms], strict=True))
    ours = agw_from_authors({name: torch.tensor(norm) for name, norm in expected.items()})
    assert len(ours) > 100
    for name, norm in ours.items():
        tensor = get(name)
        if torch.isnan(norm):
            assert tensor is None
        else:
            np.testing.assert_allclose(tensor.double().norm(), norm, rtol=1e-9, atol=1e-9, err_msg=name)


def test_the_triplet_equals_the_authors_at_other_scales():
    pooled = torch.from_numpy(EXPECTED["train/pool"])
    loss = WeightedTripletLoss()
    # An image is at distance 0 from itself, in the reference at 1e-6 or more: that is what these tolerances hold.
    np.testing.assert_allclose(loss(0.02 * pooled, LABELS), EXPECTED["loss/triplet_on_pool_times_0.02"], rtol=1e-8)
    np.testing.assert_allclose(loss(unit(pooled), LABELS), EXPECTED["loss/triplet_on_unit_features"], rtol=1e-6)


def test_names_of_another_network_are_refused():
    with pytest.raises(ValueError, match=r"1 tensors are not AGW's, among them NL_5\.0\.g\.0\.weight"):
        agw_from_authors({"NL_5.0.g.0.weight": torch.zeros(1)})
