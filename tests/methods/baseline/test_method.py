import numpy as np
import pytest
import torch

from pipeline.batches.loading import Batch
from pipeline.methods.baseline.method import Baseline, BaselineParams

BLOCK = {
    "backbone": {"depth": 18, "width": 0.125, "ibn": False, "last_stride": 1, "stem_pool": "padded"},
    "pooling": "gem",
    "smoothing": 0.1,
    "triplet_margin": 0.3,
    "batch": {"groups": 2, "identities": 2, "images": 3},
}
LABELS = torch.tensor([0, 0, 0, 1, 1, 1])
IMAGES = torch.randn(6, 3, 64, 32, generator=torch.Generator().manual_seed(0))


def baseline(seed=0, **changes):
    params = BaselineParams.model_validate(BLOCK | changes)
    return Baseline(params, num_classes=4, height=64, width=32, seed=seed)


def test_the_loss_is_the_sum_of_its_parts():
    output = baseline()(Batch(IMAGES, LABELS, LABELS, LABELS))
    assert list(output.parts) == ["identity", "triplet"]
    torch.testing.assert_close(output.loss.detach(), sum(output.parts.values()))


def test_every_trained_parameter_gets_a_gradient():
    method = baseline()
    method(Batch(IMAGES, LABELS, LABELS, LABELS)).loss.backward()
    assert all(weight.grad is not None for weight in method.network.parameters() if weight.requires_grad)


@pytest.mark.parametrize("changes", [{"smoothing": 0.2}, {"triplet_margin": 0.0}, {"pooling": "average"}])
def test_each_number_changes_the_loss(changes):
    batch = Batch(IMAGES, LABELS, LABELS, LABELS)
    assert baseline()(batch).loss.item() != baseline(**changes)(batch).loss.item()


def test_a_margin_of_0_is_the_soft_one():
    batch = Batch(IMAGES, LABELS, LABELS, LABELS)
    assert baseline(triplet_margin=0.0)(batch).loss.item() == baseline(triplet_margin="soft")(batch).loss.item()


def test_the_seed_alone_fills_the_network():
    torch.manual_seed(1)
    first = baseline(seed=5).network.state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = baseline(seed=5).network.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(baseline(seed=6).network.state_dict()["classifier.weight"], first["classifier.weight"])


def test_batches_have_the_shape_of_the_groups():
    labels = np.repeat(np.arange(4), 6)
    (rows, *_) = baseline().batches(labels, epoch=0)
    assert rows.shape == (2, 6)


def test_half_precision_gives_a_finite_loss_in_float32():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = baseline()(Batch(IMAGES, LABELS, LABELS, LABELS)).loss
    assert loss.dtype == torch.float32
    assert loss.isfinite()


def test_the_embedder_embeds_after_the_neck():
    embedder = baseline().embedder().eval()
    with torch.no_grad():
        assert torch.equal(embedder(IMAGES), embedder.network(IMAGES).vector)
