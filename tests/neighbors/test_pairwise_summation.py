import numpy as np
import pytest
import torch

from pipeline.neighbors import pairwise_summation
from pipeline.neighbors.pairwise_summation import pair_sums, pair_sums_by_torch


def embeddings(seed: int, rows: int, columns: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32))


def tree_of(terms: list[float]) -> float:
    """The order of summation as the text says it."""
    while len(terms) & (len(terms) - 1):
        terms = [*terms, 0.0]
    while len(terms) > 1:
        half = len(terms) // 2
        terms = [terms[place] + terms[half + place] for place in range(half)]
    return terms[0]


@pytest.mark.parametrize("columns", [1, 2, 3, 7, 8, 9, 65])
def test_sums_follow_the_tree_of_halves(columns):
    query, gallery = embeddings(2, 4, columns), embeddings(3, 4, columns)
    everyone = np.arange(4)
    pairs = [(q.double().numpy(), g.double().numpy()) for q, g in zip(query, gallery, strict=True)]
    products, squares = (
        pair_sums(query, gallery, everyone, everyone, is_difference) for is_difference in (False, True)
    )
    assert products.tolist() == [tree_of(list(q * g)) for q, g in pairs]
    assert squares.tolist() == [tree_of(list((q - g) ** 2)) for q, g in pairs]


@pytest.mark.parametrize("columns", [1, 2, 3, 100, 130])
@pytest.mark.parametrize("is_difference", [False, True])
def test_torch_sums_pairs_to_the_same_bits(columns, is_difference, monkeypatch):
    monkeypatch.setattr(pairwise_summation, "NUMBERS_AT_ONCE", 1000)  # several pieces
    query, gallery = embeddings(4, 9, columns), embeddings(5, 9, columns)
    rows, other = np.random.default_rng(6).integers(0, 9, (2, 50))
    compiled = pair_sums(query, gallery, rows, other, is_difference)
    np.testing.assert_array_equal(pair_sums_by_torch(query, gallery, rows, other, is_difference), compiled)
