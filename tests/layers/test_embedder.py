import torch
from torch import nn

from pipeline.layers.embedder import Embedder


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.drop = nn.Dropout(0.5)

    def embed(self, images):
        return self.layer(self.drop(images))


def test_embeddings_are_those_of_the_networks_own_method():
    network = Network().eval()
    images = torch.randn(4, 3)
    assert torch.equal(Embedder(network, network.embed)(images), network.embed(images))


def test_a_network_of_two_streams_is_told_the_modality():
    network = Network().eval()
    images, is_infrared = torch.ones(2, 3), torch.tensor([False, True])
    embedder = Embedder(network, lambda images, side: images + side[:, None], by_modality=True)
    assert embedder(images, is_infrared).tolist() == [[1, 1, 1], [2, 2, 2]]


def test_mode_and_type_of_the_network_follow():
    network = Network()
    embedder = Embedder(network, network.embed)
    embedder.eval()
    assert not network.drop.training
    embedder.to(torch.float64)
    assert embedder(torch.ones(1, 3, dtype=torch.float64)).dtype == torch.float64


def test_the_network_is_held_once():
    network = Network()
    assert len(list(Embedder(network, network.embed).parameters())) == len(list(network.parameters()))
