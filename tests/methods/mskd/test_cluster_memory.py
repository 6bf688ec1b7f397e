import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from pipeline.methods.mskd.losses import ClusterMemoryLoss, centroids, update_memory


def sequence(memory, features, labels, momentum):
    """The paper's rule, one image after the other."""
    memory = memory.clone()
    for feature, label in zip(features, labels.tolist(), strict=True):
        moved = momentum * memory[label] + (1 - momentum) * feature / feature.norm()
        memory[label] = moved / moved.norm()
    return memory


def random_memory(clusters, dim, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(clusters, dim, generator=generator, dtype=dtype), dim=1)


def test_three_steps_equal_the_reference_loss_gradient_and_memory(golden):
    memory = golden["memory_initial"].clone()
    for step in range(3):
        features, labels = golden.trained(f"memory_step{step}_features"), golden[f"memory_step{step}_labels"]
        loss = ClusterMemoryLoss(temperature=0.05)(features, labels, memory)
        (gradient,) = torch.autograd.grad(loss, features)
        torch.testing.assert_close(loss.detach().double(), golden[f"memory_step{step}_loss"], rtol=1e-5, atol=0)
        torch.testing.assert_close(gradient, golden[f"memory_step{step}_grad"], rtol=1e-5, atol=1e-6)
        update_memory(memory, features.detach(), labels, momentum=0.1)
        torch.testing.assert_close(memory, golden[f"memory_step{step}_memory_after"], rtol=1e-5, atol=1e-6)


def test_follows_the_equation():
    memory = random_memory(3, 4)
    features, labels = 5 * random_memory(6, 4, seed=1), torch.tensor([0, 2, 1, 1, 0, 0])
    total = 0.0
    for feature, label in zip(features, labels.tolist(), strict=True):
        scores = [float(feature / feature.norm() @ row) / 0.07 for row in memory]
        total += math.log(sum(map(math.exp, scores))) - scores[label]
    assert float(ClusterMemoryLoss(temperature=0.07)(features, labels, memory)) == pytest.approx(total / 6, rel=1e-12)


def test_the_gradient_is_right_and_the_memory_gets_none():
    memory, labels = random_memory(4, 5).requires_grad_(), torch.tensor([3, 0, 3])
    features = (2 * random_memory(3, 5, seed=1)).requires_grad_()
    loss = ClusterMemoryLoss(temperature=0.5)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels, memory.detach()), features)
    assert torch.autograd.grad(loss(features, labels, memory), memory, allow_unused=True) == (None,)


def test_a_single_cluster_gives_no_loss_and_no_gradient():
    features = random_memory(3, 5).requires_grad_()
    loss = ClusterMemoryLoss(temperature=0.05)(features, torch.zeros(3, dtype=torch.long), random_memory(1, 5, seed=1))
    (gradient,) = torch.autograd.grad(loss, features)
    assert float(loss.detach()) == 0
    assert not gradient.any()


def test_a_temperature_of_zero_is_an_error():
    with pytest.raises(ValueError, match="temperature: expected more than 0, got 0"):
        ClusterMemoryLoss(temperature=0)


@settings(max_examples=50, deadline=None)
@given(
    labels=st.lists(st.integers(0, 5), min_size=1, max_size=40),
    momentum=st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    seed=st.integers(0, 99),
)
def test_the_update_equals_one_image_after_the_other(labels, momentum, seed):
    memory = random_memory(6, 3, seed=seed)
    features, order = 3 * random_memory(len(labels), 3, seed=seed + 100), torch.tensor(labels)
    expected = sequence(memory, features, order, momentum)
    update_memory(memory, features, order, momentum=momentum)
    torch.testing.assert_close(memory, expected, rtol=1e-9, atol=1e-12)


def test_the_order_of_the_images_of_a_cluster_counts_and_that_of_clusters_does_not():
    features = random_memory(4, 3, seed=1)
    memories = []
    for order, labels in (([0, 1, 2, 3], [0, 0, 1, 1]), ([2, 0, 3, 1], [1, 0, 1, 0]), ([1, 0, 2, 3], [0, 0, 1, 1])):
        memories.append(random_memory(2, 3))
        update_memory(memories[-1], features[order], torch.tensor(labels), momentum=0.5)
    assert torch.equal(memories[0], memories[1])
    assert not torch.allclose(memories[0], memories[2])


def test_memories_side_by_side_are_updated_each_with_its_own_features():
    banks = torch.stack([random_memory(3, 4, seed=seed) for seed in range(2)])
    features = torch.stack([random_memory(5, 4, seed=seed) for seed in (7, 8)])
    labels = torch.tensor([2, 0, 2, 2, 0])
    expected = torch.stack([sequence(*pair, labels, 0.1) for pair in zip(banks, features, strict=True)])
    update_memory(banks, features, labels, momentum=0.1)
    torch.testing.assert_close(banks, expected)


def test_clusters_without_an_image_stay_as_they_are():
    memory = random_memory(4, 3)
    before = memory.clone()
    update_memory(memory, random_memory(2, 3, seed=1), torch.tensor([2, 2]), momentum=0.1)
    assert torch.equal(memory[[0, 1, 3]], before[[0, 1, 3]])
    assert not torch.allclose(memory[2], before[2])


def test_half_precision_features_move_a_full_precision_memory():
    memory = random_memory(2, 3, dtype=torch.float32)
    update_memory(memory, random_memory(2, 3, seed=1).to(torch.bfloat16), torch.tensor([0, 1]), momentum=0.1)
    assert memory.dtype == torch.float32
    torch.testing.assert_close(memory.norm(dim=1), torch.ones(2))


def test_centroids_are_the_directions_of_the_means_without_noise():
    features, labels = torch.randn(2, 7, 3), torch.tensor([1, -1, 0, 1, 1, 0, -1])
    memory = centroids(features, labels)
    assert memory.shape == (2, 2, 3)
    assert memory.dtype == torch.float32
    for view in range(2):
        for cluster in range(2):
            mean = features[view, labels == cluster].mean(dim=0)
            torch.testing.assert_close(memory[view, cluster], mean / mean.norm())


def test_no_cluster_has_no_centroid():
    with pytest.raises(ValueError, match="no cluster to take the mean of: every label is -1"):
        centroids(torch.randn(3, 2), torch.tensor([-1, -1, -1]))


def test_a_gap_in_the_labels_is_an_error():
    with pytest.raises(ValueError, match=r"expected 0 to 3 without a gap, got none of \[0, 2\]"):
        centroids(torch.randn(3, 2), torch.tensor([1, 3, -1]))
