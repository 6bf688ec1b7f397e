from pathlib import Path

import pytest

from pipeline.datasets.readers.llcm import PUBLISHED, list_images
from pipeline.datasets.validation.examination import tabulate
from pipeline.images.table import DataError
from tests.datasets import tiny_sets
from tests.datasets.reader_sets import Set

SETS = {
    "llcm": Set(
        "llcm",
        tiny_sets.llcm,
        {},
        ("idx/train_vis.txt", "idx/train_nir.txt", "idx/test_id.txt", "test_vis", "test_nir"),
        (4, 4, 4),
        "llcm",
    ),
}


def test_identities_and_cameras_are_those_of_the_paths_in_both_kinds_of_light(tmp_path: Path) -> None:
    table, _ = tabulate(list_images(tiny_sets.llcm(tmp_path)), is_whole=False)
    assert table.groupby("split")["person_id"].agg(set).to_dict() == {"train": {1, 4}, "test": {3, 7}}
    test = table[table["split"] == "test"]
    assert test.groupby("modality")["role"].agg(set).to_dict() == {"infrared": {"query"}, "visible": {"gallery"}}
    assert test.groupby("modality")["camera_id"].agg(set).to_dict() == {"infrared": {1, 9}, "visible": {1, 9}}
    assert set(table.loc[table["role"] == "train", "camera_id"]) == {3}


def test_published_counts_add_up_to_the_papers_total() -> None:
    assert PUBLISHED.train_images + PUBLISHED.query_images + PUBLISHED.gallery_images == 46_767


@pytest.mark.parametrize(
    ("name", "line", "problem"),
    [
        ("idx/train_vis.txt", "vis/0001/a.jpg 0", "idx/train_vis.txt: vis/0001/a.jpg: not named as"),
        ("idx/train_nir.txt", "nir/0004/0004_c02_s1_f2_nir.jpg 0", "listed as 0, but before that 0 was identity 0001"),
        ("idx/train_vis.txt", "vis/0001/0001_c02_s1_f2_vis.jpg", "idx/train_vis.txt, line 3: expected <path> <label>"),
        ("idx/test_id.txt", "11", "idx/test_id.txt: identity 11 has no image in test_nir"),
    ],
)
def test_a_wrong_line_is_named(name: str, line: str, problem: str, tmp_path: Path) -> None:
    folder = tiny_sets.llcm(tmp_path)
    with (folder / name).open("a") as file:
        file.write(line + "\n")
    assert any(problem in found for found in list_images(folder).problems)


def test_a_camera_out_of_range_and_an_identity_on_both_sides_are_named(tmp_path: Path) -> None:
    folder = tiny_sets.llcm(tmp_path)
    paths = ["vis/0002/0002_c10_s1_f2_vis.jpg", "vis/0003/0003_c01_s1_f2_vis.jpg"]
    for path, label in zip(paths, (2, 3), strict=True):
        tiny_sets.image(folder / path)
        with (folder / "idx/train_vis.txt").open("a") as file:
            file.write(f"{path} {label}\n")
    with pytest.raises(DataError) as error:
        tabulate(list_images(folder), is_whole=False)
    camera, person = error.value.problems
    assert camera.startswith("vis/0002/0002_c10_s1_f2_vis.jpg: camera_id outside 1..9")
    assert person.startswith("person_id 3 is in both train and test: vis/0003/0003_c01_s1_f2_vis.jpg")
