from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from pipeline.config import load, parse
from pipeline.datasets.readers.sysu_mm01 import list_images
from pipeline.datasets.validation.examination import tabulate
from pipeline.images.table import DataError
from pipeline.synthetic_people import world
from tests.datasets import tiny_sets
from tests.datasets.reader_sets import Set

SETS = {
    "sysu_mm01": Set(
        "sysu_mm01",
        tiny_sets.sysu_mm01,
        {"validation": True},
        ("cam1", "cam6", "exp/train_id.txt", "exp/val_id.txt", "exp/test_id.txt"),
        (10, 6, 10),
        "sysu_mm01",
    ),
}


def test_modality_goes_by_camera_and_infrared_looks_for_visible(tmp_path: Path) -> None:
    table, _ = tabulate(list_images(tiny_sets.sysu_mm01(tmp_path), validation=True), is_whole=False)
    assert set(table.loc[table["modality"] == "infrared", "camera_id"]) == {3, 6}
    test = table[table["split"] == "test"]
    assert (test["modality"] == "infrared").eq(test["role"] == "query").all()
    assert set(test["person_id"]) == {3, 5}
    assert table.iloc[0]["path"] == "cam1/0001/0001.jpg"


def test_validation_identities_train_when_asked_for(tmp_path: Path) -> None:
    folder = tiny_sets.sysu_mm01(tmp_path)
    listings = [list_images(folder, validation=validation) for validation in (True, False)]
    assert [{entry.person_id for entry in found.entries if entry.role == "train"} for found in listings] == [
        {1, 2},
        {1},
    ]
    assert listings[0].name != listings[1].name


def test_the_makers_draws_name_the_images_of_each_trial_in_order(tmp_path: Path) -> None:
    folder = tiny_sets.sysu_mm01(tmp_path)
    tiny_sets.sysu_draws(folder, trials=2)
    listing = list_images(folder, validation=True)
    assert not listing.problems
    assert isinstance(listing.draws, pd.DataFrame)
    single = listing.draws[listing.draws["place"] == 1]
    gallery = [entry for entry in listing.entries if entry.role == "gallery"]
    pairs = {(entry.person_id, entry.camera_id) for entry in gallery}
    assert (single.groupby("trial").size() == len(pairs)).all()
    of_one = listing.draws[listing.draws["path"].str.startswith("cam1/0003/")]
    assert of_one[["trial", "path", "place"]].to_numpy().tolist() == [
        [1, "cam1/0003/0001.jpg", 1],
        [1, "cam1/0003/0002.jpg", 2],
        [2, "cam1/0003/0002.jpg", 1],
        [2, "cam1/0003/0001.jpg", 2],
    ]
    assert set(listing.draws["path"]) == {entry.path for entry in gallery}


def test_missing_draws_are_a_note_that_says_where_they_are(tmp_path: Path) -> None:
    listing = list_images(tiny_sets.sysu_mm01(tmp_path), validation=True)
    assert listing.draws is None
    (note,) = listing.notes
    assert "exp/rand_perm_cam.mat is not there" in note
    assert "github.com/wuancong/SYSU-MM01" in note


def test_draws_of_other_images_or_of_nothing_are_named(tmp_path: Path) -> None:
    folder = tiny_sets.sysu_mm01(tmp_path)
    tiny_sets.sysu_draws(folder)
    tiny_sets.image(folder / "cam1" / "0003" / "0003.jpg")
    (message,) = list_images(folder, validation=True).problems
    assert message == "exp/rand_perm_cam.mat: does not permute the 3 images of cam1/0003"
    savemat(folder / "exp" / "rand_perm_cam.mat", {"other": np.zeros(2)})
    (message,) = list_images(folder, validation=True).problems
    assert message == "exp/rand_perm_cam.mat: expected the variables rand_perm_cam, rand_perm_cam not there"


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        ("3,5,9", "exp/test_id.txt: identity 9 has no image in cam1 to cam6"),
        ("3,5,0", "exp/test_id.txt: expected identities from 1, separated by commas, got 0"),
        ("3,5,x7", "exp/test_id.txt: expected identities from 1, separated by commas, got x7"),
        ("3,5,1", "person_id 1 is in both train and test"),
    ],
)
def test_a_wrong_list_of_identities_is_named(ids: str, problem: str, tmp_path: Path) -> None:
    folder = tiny_sets.sysu_mm01(tmp_path)
    tiny_sets.text(folder / "exp" / "test_id.txt", ids)
    with pytest.raises(DataError) as error:
        tabulate(list_images(folder, validation=True), is_whole=False)
    assert any(problem in line for line in error.value.problems)


def test_lists_without_leading_zeros_find_their_folders_and_other_files_are_named(tmp_path: Path) -> None:
    folder = tiny_sets.sysu_mm01(tmp_path)
    (folder / "cam1" / "0001" / "frame.txt").write_text("")
    (folder / "cam1" / "0001" / "Thumbs.db").write_text("")
    assert list_images(folder, validation=True).problems == ["cam1/0001/frame.txt: not named as <frame, 4 digits>.jpg"]


def test_a_generated_world_is_read_as_the_real_data_set(tmp_path: Path) -> None:
    people = load(Path(__file__).parents[3] / "params.yaml")["data"]["people"]["people"]
    sizes = {"height": 32, "width": 16, "distractors": 1, "junk": 1}
    many = {"identities": 3, "appearances": 18, "images": 36}
    params = parse(world.PeopleParams, {**people, **sizes, "train": many, "test": many}, "people")
    world.render(params, tmp_path / "world", workers=1)
    table, _ = tabulate(list_images(tmp_path / "world" / "sysu_mm01", validation=True), is_whole=False)
    assert table.groupby("role")["person_id"].nunique().to_dict() == {"train": 3, "query": 3, "gallery": 3}
