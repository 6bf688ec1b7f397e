import torch
from torch.nn import functional as F

from pipeline.layers.heads import CosineClassifier, EmbeddingHead
from pipeline.layers.pooling import GeMPool


def test_scores_are_cosines_to_the_class_weights():
    classifier = CosineClassifier(6, 5)
    vectors = torch.randn(3, 6)
    expected = F.cosine_similarity(vectors[:, None], classifier.weight[None], dim=2)
    torch.testing.assert_close(classifier(vectors), expected)


def test_autocast_does_not_round_cosines():
    classifier = CosineClassifier(64, 5)
    vectors = torch.randn(3, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = classifier(vectors)
    assert torch.equal(rounded, classifier(vectors))


def test_the_head_embeds_after_its_neck():
    head = EmbeddingHead(6, 5, pool=GeMPool())
    output = head(torch.rand(3, 6, 4, 2))
    assert (output.vector.shape, output.cosines.shape) == ((3, 6), (3, 5))
    torch.testing.assert_close(output.vector.mean(dim=0), torch.zeros(6), atol=1e-4, rtol=0)


def test_embeddings_alone_are_the_same_in_every_bit():
    head, maps = EmbeddingHead(6, 5, pool=GeMPool()).eval(), torch.rand(3, 6, 4, 2)
    assert torch.equal(head.embed(maps), head(maps).vector)
