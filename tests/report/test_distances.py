import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.report import distances
from pipeline.report.distances import kinds_of_pairs, some_identities


def make_table(num_identities=6, images=4, infrared=False):
    persons = np.repeat(np.arange(1, num_identities + 1), images)
    cameras = np.tile(np.arange(1, images + 1) // 2, num_identities)
    modality = np.where(infrared & (cameras == 1), "infrared", "visible")
    return pd.DataFrame({"person_id": persons, "camera_id": cameras, "modality": modality})


def test_separation_is_the_area_under_the_roc_curve():
    table = make_table()
    embeddings = np.random.default_rng(1).normal(size=(len(table), 5)).astype(np.float32)
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    first, second = np.triu_indices(len(table), 1)
    persons, cameras = table["person_id"].to_numpy(), table["camera_id"].to_numpy()
    across = cameras[first] != cameras[second]
    nearness = (units @ units.T)[first, second]
    expected = roc_auc_score((persons[first] == persons[second])[across], nearness[across])
    assert kinds_of_pairs(embeddings, table)["across cameras"].separation == pytest.approx(expected, abs=1e-6)


def test_identities_that_stand_apart_are_separated_perfectly_and_shares_add_up():
    table = make_table()
    embeddings = np.eye(7, dtype=np.float32)[table["person_id"]]
    for pairs in kinds_of_pairs(embeddings, table).values():
        assert pairs.separation == 1
        assert pairs.same.sum() == pytest.approx(1) == pairs.other.sum()
        assert pairs.same[0] == 1


def test_kinds_across_modalities_are_there_where_there_is_infrared():
    embeddings = np.random.default_rng(1).normal(size=(24, 5)).astype(np.float32)
    cameras = ["within a camera", "across cameras"]
    assert list(kinds_of_pairs(embeddings, make_table())) == cameras
    both = kinds_of_pairs(embeddings, make_table(infrared=True))
    assert list(both) == [*cameras, "within visible", "within infrared", "visible to infrared"]
    total = both["within a camera"].num_other + both["across cameras"].num_other
    assert total == sum(both[kind].num_other for kind in list(both)[2:])


def test_distractors_take_no_part_and_many_images_are_thinned_by_identity(monkeypatch):
    table = make_table()
    table.loc[0, "person_id"] = 0
    assert some_identities(table).tolist() == list(range(1, 24))
    monkeypatch.setattr(distances, "IMAGES_AT_MOST", 12)
    kept = table.iloc[some_identities(table)]
    assert len(kept) <= 12
    assert (kept.groupby("person_id").size() == table.groupby("person_id").size()[kept["person_id"].unique()]).all()
