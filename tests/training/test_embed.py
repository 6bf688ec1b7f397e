from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.batches.loading import Loader
from pipeline.layers.embedder import Embedder
from pipeline.training.embed import embed
from pipeline.training.workers import Workers
from tests.training.toy import CPU, Toy, make_data

ALONE = Workers(0, 1)
ROWS = np.random.default_rng(1).permutation(48)[:43]


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Toy(num_classes=6, groups=1, seed=0).network


@pytest.fixture
def loader():
    images, _ = make_data()
    return Loader(images, np.ones(48), np.zeros(48), None, CPU, torch.float32)


@pytest.fixture
def dealt(network, loader, monkeypatch):
    """Returns a function: what each of some workers gets, where they run one after the other and exchange parts."""

    def run(size, **how):
        there: list = [None] * size

        def take_part(rank):
            def exchange(shares, parts):
                there[rank] = parts
                shares[:] = there

            monkeypatch.setattr(torch.distributed, "all_gather_object", exchange)
            return embed(Embedder(network, network.forward), loader, ROWS, workers=Workers(rank, size), **how)

        for rank in range(size - 1):  # before the last one, others' parts are not there yet
            with suppress(TypeError):
                take_part(rank)
        take_part(size - 1)
        return [take_part(rank) for rank in range(size)]

    return run


def test_embeddings_stand_in_the_order_of_the_rows(network, loader):
    found = embed(Embedder(network, network.forward), loader, ROWS, batch_size=16, workers=ALONE)
    network.eval()
    with torch.no_grad():
        expected = torch.cat([network(loader.plain(ROWS[start : start + 16])) for start in (0, 16, 32)])
    assert torch.equal(found, expected)
    assert not found.requires_grad


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("flip", [False, True])
def test_any_number_of_workers_gets_the_same_bits(network, loader, dealt, size, flip):
    alone = embed(Embedder(network, network.forward), loader, ROWS, batch_size=16, workers=ALONE, flip=flip)
    assert all(torch.equal(own, alone) for own in dealt(size, batch_size=16, flip=flip))


def test_the_mirrored_images_are_added(network, loader):
    plain = embed(Embedder(network, network.forward), loader, ROWS, batch_size=43, workers=ALONE)
    both = embed(Embedder(network, network.forward), loader, ROWS, batch_size=43, workers=ALONE, flip=True)
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(both - plain, network(loader.plain(ROWS).flip(-1)))


def test_embedding_neither_trains_nor_leaves_a_layer_in_another_mode(network, loader):
    network.train()
    network[1].eval()  # a frozen layer of a network that trains
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [layer.training for layer in network.modules()]
    embed(Embedder(network, network.forward), loader, ROWS, batch_size=16, workers=ALONE)
    assert [layer.training for layer in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(weight.grad is None for weight in network.parameters())


def test_modes_are_put_back_after_an_error_too(loader):
    class Broken(nn.Module):
        def forward(self, images):
            raise ValueError("no embedding")

    module = Broken().train()
    with pytest.raises(ValueError, match="no embedding"):
        embed(Embedder(module, module.forward), loader, ROWS, batch_size=16, workers=ALONE)
    assert module.training


def test_progress_counts_batches(network, loader):
    told = []
    embedder = Embedder(network, network.forward)
    embed(embedder, loader, ROWS, batch_size=16, workers=ALONE, progress=lambda *steps: told.append(steps))
    assert told == [(1, 3), (2, 3), (3, 3)]
