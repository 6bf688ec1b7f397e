import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.labels import ALL_SEEN, SAME_CAMERA_REMOVED
from pipeline.evaluation.protocols import (
    MARKET,
    NO_CAMERAS,
    SYSU_RULE,
    Search,
    Side,
    llcm,
    regdb,
    sysu_mm01,
    trials_of,
)
from pipeline.evaluation.ranking import rank_distances, rank_embeddings
from pipeline.evaluation.stamp import market_protocol
from pipeline.evaluation.trials import rank_trials

GOLDEN = Path(__file__).parents[1] / "golden"


def oracle(distances, query_ids, gallery_ids, query_cameras, gallery_cameras, is_hidden):
    """Sort, walk down, and for CMC cross out all but the nearest image of each identity; ties are pessimistic."""
    rows = []
    for query, identity in enumerate(query_ids):
        seen = [g for g in range(len(gallery_ids)) if not is_hidden(query, g)]
        order = sorted(seen, key=lambda g: (distances[query][g], gallery_ids[g] == identity))
        places = [place for place, g in enumerate(order, 1) if gallery_ids[g] == identity]
        identities = list(dict.fromkeys(gallery_ids[g] for g in order))
        if places:
            precisions = [hits / place for hits, place in enumerate(places, 1)]
            rows.append((np.mean(precisions), len(places) / places[-1], identities.index(identity) + 1))
        else:
            rows.append((np.nan, np.nan, 0))
    return [np.array(column) for column in zip(*rows, strict=True)]


def assert_equals(ranking, expected):
    np.testing.assert_allclose(ranking.average_precision, expected[0], rtol=1e-13)
    np.testing.assert_allclose(ranking.inverse_negative_penalty, expected[1], rtol=1e-13)
    np.testing.assert_array_equal(ranking.first_match, expected[2])


def labels_of(arrays):
    cameras = "query_camids" in arrays
    return {
        "query_ids": arrays["query_pids"] + 1,  # theirs count from 0, which stands for distractors here
        "gallery_ids": arrays["gallery_pids"] + 1,
        "query_cameras": arrays["query_camids"] if cameras else np.ones(len(arrays["query_pids"])),
        "gallery_cameras": arrays["gallery_camids"] if cameras else np.full(len(arrays["gallery_pids"]), 2),
    }


@pytest.mark.parametrize(("name", "rule", "with_identities"), [("sysu", SYSU_RULE, True), ("regdb", ALL_SEEN, False)])
def test_distances_give_what_the_reference_gives(name, rule, with_identities):
    arrays = np.load(GOLDEN / f"{name}_protocol.npz")
    ranking = rank_distances(
        arrays["distances"], **labels_of(arrays), camera_rule=rule, with_identities=with_identities
    )
    found = [ranking.cmc(rank) * ranking.is_valid.sum() / len(ranking.is_valid) for rank in range(1, 21)]
    assert ranking.is_valid.all()
    np.testing.assert_allclose(found, arrays["expected_cmc"], atol=1e-7)
    metrics = ranking.metrics()
    assert metrics["mAP"] == pytest.approx(float(arrays["expected_mAP"]), abs=1e-12)
    assert metrics["mINP"] == pytest.approx(float(arrays["expected_mINP"]), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**31), st.booleans(), st.sampled_from([SYSU_RULE, SAME_CAMERA_REMOVED, ALL_SEEN]))
def test_identities_are_counted_once_and_hidden_cameras_not_at_all(seed, as_embeddings, rule):
    rng = np.random.default_rng(seed)
    num_query, num_gallery = rng.integers(1, 6), rng.integers(1, 14)
    sides = rng.integers(-2, 3, (num_query, 2)), rng.integers(-2, 3, (num_gallery, 2))
    distances = np.square(sides[0][:, None] - sides[1]).sum(axis=2)
    labels = {
        "query_ids": rng.integers(1, 4, num_query),
        "gallery_ids": np.append(rng.integers(0, 4, num_gallery - 1), 1),
        "query_cameras": rng.choice([3, 6], num_query),
        "gallery_cameras": np.append(rng.choice([1, 2, 3], num_gallery - 1), 4),
    }
    labels["query_ids"][0] = 1

    def is_hidden(query, image):
        cameras = labels["query_cameras"][query], labels["gallery_cameras"][image]
        is_same = labels["query_ids"][query] == labels["gallery_ids"][image] and cameras[0] == cameras[1]
        return (is_same and rule.removes_same_camera) or cameras in rule.unseen

    given_rule = {"camera_rule": rule, "with_identities": True}
    if as_embeddings:
        both = (side.astype(np.float32) for side in sides)
        ranking = rank_embeddings(*both, **labels, **given_rule, metric="euclidean", block_size=3)
    else:
        ranking = rank_distances(distances, **labels, **given_rule)
    assert_equals(ranking, oracle(distances, *labels.values(), is_hidden))


def table_of(rows):
    """Returns the test part of an image table: (person, camera, modality, role), several images of each."""
    table = pd.DataFrame(rows, columns=["person_id", "camera_id", "modality", "role"])
    numbers = table.groupby(["person_id", "camera_id", "modality"]).cumcount()
    names = [
        f"cam{row.camera_id}/{row.person_id:04d}/{number:04d}.jpg"
        for row, number in zip(table.itertuples(), numbers, strict=True)
    ]
    return table.assign(path=names, split="test")


def sysu_table(rng, persons=(6, 10, 17, 333), most=14):
    """Returns a table in disorder, in which not everybody was seen by every camera."""
    rows = []
    for person in persons:
        for camera in range(1, 7):
            modality, role = ("infrared", "query") if camera in (3, 6) else ("visible", "gallery")
            count = rng.integers(1, most) if (person + camera) % 5 else 0
            rows += [(person, camera, modality, role)] * count
    return table_of(rows).sample(frac=1, random_state=int(rng.integers(1000))).reset_index(drop=True)


@pytest.mark.parametrize(("name", "cameras"), [("all-search", (1, 2, 4, 5)), ("indoor-search", (1, 2))])
def test_seeded_galleries_are_those_of_the_baseline(name, cameras):
    table = sysu_table(np.random.default_rng(0))
    search = sysu_mm01(name, shots=1, draws="seeded", trials=10)
    for seed, trial in enumerate(trials_of(search, table)):
        random.seed(seed)
        expected = []
        for person in sorted(set(table["person_id"])):
            for camera in cameras:
                seen = table[(table["person_id"] == person) & (table["camera_id"] == camera)]
                if len(seen):
                    expected.append(random.choice(sorted(seen["path"])))
        assert table["path"].iloc[trial.gallery].tolist() == expected
        assert table["camera_id"].iloc[trial.query].isin([3, 6]).all()
        assert len(trial.query) == (table["role"] == "query").sum()


def test_drawing_leaves_the_random_numbers_of_others_alone():
    search = sysu_mm01("all-search", shots=1, draws="seeded", trials=2)
    random.seed(5)
    expected = random.random()
    random.seed(5)
    list(trials_of(search, sysu_table(np.random.default_rng(0))))
    assert random.random() == expected


def test_multi_shot_galleries_hold_ten_different_images_or_all_there_are():
    table = sysu_table(np.random.default_rng(1))
    galleries = []
    for trial in trials_of(sysu_mm01("all-search", shots=10, draws="seeded", trials=3), table):
        drawn = table.iloc[trial.gallery]
        assert not drawn["path"].duplicated().any()
        have = table[table["role"] == "gallery"].groupby(["person_id", "camera_id"]).size()
        pd.testing.assert_series_equal(drawn.groupby(["person_id", "camera_id"]).size(), have.clip(upper=10))
        galleries.append(sorted(drawn["path"]))
    assert galleries[0] != galleries[1] != galleries[2]


def official_draws(table, trials, rng):
    rows = []
    for _, group in table[table["role"] == "gallery"].groupby(["person_id", "camera_id"]):
        for trial in range(1, trials + 1):
            rows += [(trial, path, place) for place, path in enumerate(rng.permutation(group["path"]), 1)]
    return pd.DataFrame(rows, columns=["trial", "path", "place"])


@pytest.mark.parametrize("shots", [1, 10])
def test_official_galleries_are_the_first_of_the_makers_permutations(shots):
    rng = np.random.default_rng(2)
    table = sysu_table(rng)
    draws = official_draws(table, 2, rng)
    search = sysu_mm01("indoor-search", shots=shots, draws="official", trials=2)
    for number, trial in enumerate(trials_of(search, table, draws), 1):
        drawn = draws[(draws["trial"] == number) & (draws["place"] <= shots)]["path"]
        indoor = table[table["camera_id"].isin([1, 2])]["path"]
        assert set(table["path"].iloc[trial.gallery]) == set(drawn) & set(indoor)


@pytest.mark.parametrize("draws", ["seeded", "official"])
def test_a_dict_of_lists_is_a_table_too(draws):
    rng = np.random.default_rng(5)
    table = sysu_table(rng)
    makers = official_draws(table, 2, rng)
    search = sysu_mm01("all-search", shots=1, draws=draws, trials=2)
    expected = trials_of(search, table, makers)
    for one, other in zip(trials_of(search, table.to_dict("list"), makers.to_dict("list")), expected, strict=True):
        np.testing.assert_array_equal(one.query, other.query)
        np.testing.assert_array_equal(one.gallery, other.gallery)
        np.testing.assert_array_equal(one.labels.num_matches, other.labels.num_matches)


def test_missing_official_galleries_are_an_error():
    rng = np.random.default_rng(3)
    table = sysu_table(rng)
    search = sysu_mm01("all-search", shots=1, draws="official", trials=2)
    with pytest.raises(ValueError, match="came without the galleries"):
        list(trials_of(search, table))
    with pytest.raises(ValueError, match="gallery 2 has no image of"):
        list(trials_of(search, table, official_draws(table, 1, rng)))


def llcm_table(rng):
    rows = []
    for modality, role in (("visible", "gallery"), ("infrared", "query")):
        for person in range(1, 7):
            for camera in rng.choice(np.arange(1, 10), 4, replace=False):
                rows += [(person, int(camera), modality, role)] * int(rng.integers(1, 5))
    table = table_of(rows)
    return table.assign(path=table["modality"] + "/" + table["path"])


@pytest.mark.parametrize("search", [llcm("V->I", trials=3), llcm("I->V", trials=3)])
def test_llcm_ranks_all_queries_in_drawn_galleries_of_the_other_modality(search):
    rng = np.random.default_rng(4)
    table = llcm_table(rng)
    features = rng.integers(-3, 4, (len(table), 4)).astype(np.float32)
    persons, cameras, modalities = (table[name].to_numpy() for name in ("person_id", "camera_id", "modality"))
    rankings = rank_trials(features, table, search, metric="euclidean", average_precision="standard")
    looking, other = ("visible", "infrared") if search.name == "V->I" else ("infrared", "visible")
    for seed, ranking in enumerate(rankings):
        generator = random.Random(seed)
        query, gallery = np.flatnonzero(modalities == looking), []
        for person in range(1, 7):
            for camera in range(1, 10):
                group = np.flatnonzero((persons == person) & (cameras == camera) & (modalities == other))
                if len(group):
                    gallery.append(generator.choice(sorted(group, key=lambda row: table["path"].iloc[row])))
        distances = np.square(features[query][:, None] - features[gallery]).sum(axis=2)
        sides = persons[query], persons[gallery], cameras[query], cameras[gallery]

        def is_hidden(row, image, sides=sides):
            return sides[0][row] == sides[1][image] and sides[2][row] == sides[3][image]

        assert_equals(ranking, oracle(distances, *sides, is_hidden))


@pytest.mark.parametrize(("name", "looking"), [("V->T", "visible"), ("T->V", "infrared")])
def test_regdb_looks_from_one_modality_into_the_other_and_removes_nothing(name, looking):
    table = table_of([(p, 1, "visible", "gallery") for p in (1, 2)] + [(p, 2, "infrared", "query") for p in (1, 1, 2)])
    (trial,) = trials_of(regdb(name), table)
    assert (table["modality"].iloc[trial.query] == looking).all()
    assert len(trial.query) + len(trial.gallery) == len(table)
    assert trial.labels.num_matches.tolist() == ([2, 1] if looking == "visible" else [1, 1, 1])


def test_without_cameras_a_query_sees_all_but_itself():
    table = table_of([(1, 0, "visible", "query"), (1, 0, "visible", "query"), (2, 0, "visible", "gallery")])
    (trial,) = trials_of(NO_CAMERAS, table.assign(role=["query", "gallery", "gallery"]))
    assert trial.labels.num_matches.tolist() == [1]
    everyone = trials_of(Search("leave one out", Side(), Side(), ALL_SEEN), table)
    (trial,) = everyone
    assert trial.labels.num_matches.tolist() == [1, 1, 0]


def test_stamps_tell_protocols_apart():
    searches = [
        MARKET,
        NO_CAMERAS,
        regdb("V->T"),
        llcm("V->I", trials=10),
        *(
            sysu_mm01(name, shots=shots, draws=draws, trials=10)
            for name in ("all-search", "indoor-search")
            for shots in (1, 4, 10)
            for draws in ("official", "seeded")
        ),
    ]
    texts = [str(search.stamp_fields()) for search in searches]
    assert len(set(texts)) == len(texts)
    assert MARKET.stamp_fields() == {
        "search": "standard",
        "gallery": "fixed",
        "trials": 1,
        "shots": "all",
        "camera_rule": "same identity and camera removed",
    }


def test_unknown_searches_and_empty_sides_are_errors():
    with pytest.raises(ValueError, match="all-search, indoor-search, got 'outdoor'"):
        sysu_mm01("outdoor", shots=1, draws="seeded", trials=1)
    with pytest.raises(ValueError, match="expected one of V->T, T->V"):
        regdb("V->I")
    with pytest.raises(ValueError, match=r"V->T: the table has no test images of Side\(.*infrared"):
        list(trials_of(regdb("V->T"), table_of([(1, 1, "visible", "gallery")])))


@pytest.mark.parametrize(
    ("search", "label"),
    [
        (sysu_mm01("all-search", shots=1, draws="seeded", trials=10), "all-search single-shot"),
        (sysu_mm01("indoor-search", shots=10, draws="official", trials=10), "indoor-search multi-shot"),
        (llcm("I->V", trials=10), "I->V"),
        (regdb("V->T"), "V->T"),
        (MARKET, "standard"),
    ],
)
def test_labels_are_the_words_of_published_tables(search, label):
    market = market_protocol(data="any", fingerprint="", counts={}, is_generated=True)
    assert replace(market, **search.stamp_fields()).label == label
