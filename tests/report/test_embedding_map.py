import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from pipeline.report import embedding_map
from pipeline.report.embedding_map import project, shown_rows


def test_some_identities_are_marked_and_the_rest_is_thinned(monkeypatch):
    monkeypatch.setattr(embedding_map, "OTHERS_AT_MOST", 20)
    table = pd.DataFrame({"person_id": [0] * 10 + list(np.repeat(np.arange(1, 31), 4))})
    rows, groups = shown_rows(table)
    assert sorted(set(groups)) == list(range(-1, embedding_map.IDENTITIES))
    assert np.count_nonzero(groups >= 0) == 4 * embedding_map.IDENTITIES
    assert 10 <= np.count_nonzero(groups < 0) <= 20
    assert len(set(rows)) == len(rows)
    for group in range(embedding_map.IDENTITIES):
        (person,) = set(table.iloc[rows[groups == group]]["person_id"])
        assert person != 0


def test_the_plane_keeps_groups_together_and_is_the_same_for_any_number_of_threads():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(4), 15)
    embeddings = (5 * np.eye(4)[groups] + generator.normal(scale=0.3, size=(60, 4))).astype(np.float32)
    points = project(embeddings)
    assert points.shape == (60, 2)
    with threadpool_limits(2):
        assert np.array_equal(points, project(embeddings))
    centres = np.stack([points[groups == group].mean(axis=0) for group in range(4)])
    nearest = np.linalg.norm(points[:, None] - centres, axis=2).argmin(axis=1)
    assert np.array_equal(nearest, groups)
