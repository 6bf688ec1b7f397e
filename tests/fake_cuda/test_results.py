"""What is computed from embeddings: the same bits on a GPU, by the kernels of torch, as on a CPU, by those of numba."""

from dataclasses import fields

import numpy as np
import pytest

from pipeline.clustering.pseudo_labels import find_clusters
from pipeline.evaluation.labels import SAME_CAMERA_REMOVED, Labels
from pipeline.evaluation.ranking import rank_by, rank_embeddings
from pipeline.evaluation.reranking import rerank
from pipeline.evaluation.verification import verify, verify_embeddings
from pipeline.images.store import ImageStore
from pipeline.methods.registry import find
from pipeline.neighbors.jaccard import jaccard_distance
from pipeline.neighbors.nearest import find_nearest
from pipeline.scoring.embedding import embed_rows
from pipeline.scoring.evaluate import model_from
from pipeline.scoring.evaluate import test_rows as rows_of_test
from pipeline.training import checkpoint
from tests.fake_cuda.fake_cuda import CPU, GPU, pretended
from tests.fake_cuda.trainings import block_of, job_of, train
from tests.methods.examples import each_example
from tests.noise import EVALUATION

RNG = np.random.default_rng(0)
IDS, CAMERAS = RNG.integers(1, 30, 260), RNG.integers(0, 4, 260)
CENTRES = RNG.standard_normal((30, 24))
FEATURES = (CENTRES[IDS] + RNG.standard_normal((260, 24))).astype(np.float32)
FEATURES[200:220] = FEATURES[100:120]  # ties
QUERY, GALLERY = FEATURES[:60], FEATURES[60:]
LABELS = {
    "query_ids": IDS[:60],
    "gallery_ids": IDS[60:],
    "query_cameras": CAMERAS[:60],
    "gallery_cameras": CAMERAS[60:],
}
METRICS, RATES = ["euclidean", "cosine"], (1e-3, 1e-2, 0.1)


def on_both(compute):
    """Returns what is computed with the CPU and with the pretended GPU."""
    with pretended():
        return compute(CPU), compute(GPU)


def assert_same(one, other):
    for field in fields(one):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(ours, np.ndarray):
            assert ours.dtype == theirs.dtype, field.name
            assert np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"), field.name


@pytest.mark.parametrize("metric", METRICS)
def test_rankings(metric):
    def rank(device):
        settings = {"metric": metric, "with_identities": True, "block_size": 70, "device": device}
        return rank_embeddings(QUERY, GALLERY, **LABELS, **settings)

    ours, theirs = on_both(rank)
    assert_same(ours, theirs)
    assert 0 < np.nanmean(ours.average_precision) < 1


@pytest.mark.parametrize("convention", ["zhong", "deep_person_reid"])
@pytest.mark.parametrize("metric", METRICS)
def test_re_rankings(metric, convention):
    def rank(device):
        settings = {"metric": metric, "k1": 12, "k2": 4, "weight": 0.3, "convention": convention, "block_size": 70}
        labels, found = Labels(**LABELS, rule=SAME_CAMERA_REMOVED), rerank(QUERY, GALLERY, **settings, device=device)
        ranking = rank_by(found, labels, average_precision="standard", with_identities=True, block_size=70)
        return ranking, verify(found, labels, false_positive_rates=RATES, block_size=70)

    (ours, our_rates), (theirs, their_rates) = on_both(rank)
    assert_same(ours, theirs)
    assert our_rates == their_rates


@pytest.mark.parametrize("metric", METRICS)
def test_verification(metric):
    def rates(device):
        settings = {"metric": metric, "false_positive_rates": RATES, "block_size": 70, "device": device}
        return verify_embeddings(QUERY, GALLERY, **LABELS, **settings)

    ours, theirs = on_both(rates)
    assert ours == theirs


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_and_jaccard_distances(metric):
    assert_same(*on_both(lambda device: find_nearest(FEATURES, 9, metric=metric, block_size=70, device=device)))
    settings = {"k1": 12, "k2": 4, "metric": metric, "convention": "cluster_contrast", "block_size": 70}
    assert_same(*on_both(lambda device: jaccard_distance(FEATURES, **settings, device=device)))


def test_clusters():
    settings = {"center_cameras": True, "local_weight": 0.2, "k1": 12, "k2": 4, "eps": 0.6, "min_samples": 3}
    views = np.stack([FEATURES, FEATURES[:, ::-1] + 1])
    ours, theirs = on_both(lambda device: find_clusters(views, CAMERAS, **settings, device=device))
    assert np.array_equal(ours, theirs)
    assert ours.max() > 5


@each_example()
def test_embeddings_of_a_trained_network(name, both_modalities, teacher, tmp_path):
    job = job_of(block_of(name, teacher, training__epochs=1), both_modalities, tmp_path)
    train(job, CPU)
    store = ImageStore(both_modalities)

    def embed():
        model = model_from(checkpoint.latest(job.run_folder), find(job.experiment["method"]), store)
        return embed_rows(
            model.embedder, store, rows_of_test(store), batch=EVALUATION["batch"], flip=EVALUATION["flip"]
        )

    ours = embed()
    with pretended():
        theirs = embed()
    assert np.array_equal(ours, theirs)
