import torch

from pipeline.backbones.resnet import ResNet
from pipeline.methods.baseline.network import BaselineNetwork


def network(pooling="gem"):
    backbone = ResNet(depth=18, width=0.125, ibn=False, last_stride=1, stem_pool="padded")
    return BaselineNetwork(backbone=backbone, pooling=pooling, num_classes=3)


def test_the_embedding_is_what_the_classifier_sees():
    net = network().eval()
    images = torch.randn(2, 3, 64, 32)
    with torch.no_grad():
        output = net(images)
        assert torch.equal(net.embed(images), output.vector)
    torch.testing.assert_close(output.logits, output.vector @ net.classifier.weight.T)


def test_poolings_differ():
    images = torch.randn(2, 3, 64, 32)
    gem, average = network(), network("average")
    average.load_state_dict(gem.state_dict(), strict=False)
    assert not torch.allclose(gem(images).pooled, average(images).pooled)
