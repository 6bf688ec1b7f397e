"""What every reader does, on a tiny data set in the layout of the real one."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import parse
from pipeline.datasets.listing import Listing
from pipeline.datasets.readers import OWN, READERS, find
from pipeline.datasets.validation.examination import tabulate
from pipeline.evaluation import protocols
from pipeline.images.table import DataError
from tests.datasets import tiny_sets


@dataclass(frozen=True)
class Set:
    """A reader, its settings, a tiny data set for it, what must be there and what comes of it."""

    reader: str
    make: Callable[[Path], Path]
    settings: dict[str, Any]
    parts: tuple[str, ...]
    counts: tuple[int, int, int]
    protocol: str = "market"
    own: dict[str, Any] = field(default_factory=dict)

    def list_images(self, folder: Path) -> Listing:
        reader = find(self.reader)
        return reader.list_images(folder, **parse(reader.Settings, self.settings, "settings").model_dump())


MARKET_FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
SETS = {
    "market1501": Set("market1501", tiny_sets.market1501, {"distractors": False}, MARKET_FOLDERS, (2, 1, 2)),
    "market1501_500k": Set(
        "market1501", tiny_sets.market1501, {"distractors": True}, (*MARKET_FOLDERS, "images"), (2, 1, 3)
    ),
    "dukemtmc": Set("dukemtmc", tiny_sets.dukemtmc, {}, MARKET_FOLDERS, (1, 1, 2)),
    "msmt17": Set(
        "msmt17",
        tiny_sets.msmt17,
        {"version": "V1", "validation": True},
        ("test", "list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt"),
        (3, 2, 2),
    ),
    "msmt17_v2": Set(
        "msmt17",
        lambda root: tiny_sets.msmt17(root, "V2"),
        {"version": "V2", "validation": False},
        ("mask_test_v2", "list_train.txt", "list_query.txt", "list_gallery.txt"),
        (2, 2, 2),
    ),
    "msmt17_converted": Set(
        "msmt17",
        tiny_sets.msmt17_converted,
        {"version": "V1", "validation": True},
        ("query", "bounding_box_test"),
        (2, 1, 1),
    ),
    "cuhk03_labeled": Set(
        "cuhk03", tiny_sets.cuhk03, {"boxes": "labeled"}, ("cuhk03_new_protocol_config_labeled.mat",), (2, 1, 2)
    ),
    "cuhk03_detected": Set(
        "cuhk03",
        lambda root: tiny_sets.cuhk03(root, "detected"),
        {"boxes": "detected"},
        ("cuhk03_new_protocol_config_detected.mat", "images_detected"),
        (2, 1, 2),
    ),
    "synergyreid": Set(
        "synergyreid",
        tiny_sets.synergyreid,
        {},
        ("reid_training", "reid_test/query", "reid_test/gallery"),
        (2, 1, 2),
    ),
    "sysu_mm01": Set(
        "sysu_mm01",
        tiny_sets.sysu_mm01,
        {"validation": True},
        ("cam1", "cam6", "exp/train_id.txt", "exp/val_id.txt", "exp/test_id.txt"),
        (10, 6, 10),
        "sysu_mm01",
    ),
    "regdb": Set(
        "regdb",
        tiny_sets.regdb,
        {"trial": 2},
        ("idx/train_visible_2.txt", "idx/train_thermal_2.txt", "idx/test_visible_2.txt", "idx/test_thermal_2.txt"),
        (8, 2, 2),
        "regdb",
    ),
    "llcm": Set(
        "llcm",
        tiny_sets.llcm,
        {},
        ("idx/train_vis.txt", "idx/train_nir.txt", "idx/test_id.txt", "test_vis", "test_nir"),
        (4, 4, 4),
        "llcm",
    ),
}
each_set = pytest.mark.parametrize("name", SETS)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


@each_set
def test_a_good_data_set_becomes_a_table(name: str, tmp_path: Path) -> None:
    given = SETS[name]
    listing = given.list_images(given.make(tmp_path))
    table, _ = tabulate(listing, is_whole=False)
    assert tuple((table["role"] == role).sum() for role in ("train", "query", "gallery")) == given.counts
    assert listing.protocol == given.protocol
    assert not listing.problems
    assert (table["sha256"].str.len() == 64).all()


@each_set
def test_a_part_of_a_data_set_does_not_pass_for_the_whole(name: str, tmp_path: Path) -> None:
    given = SETS[name]
    listing = given.list_images(given.make(tmp_path))
    assert listing.published is not None
    with pytest.raises(DataError) as error:
        tabulate(listing, is_whole=True)
    published = f"train images: {listing.published.train_images:,} published, {given.counts[0]} here"
    assert (published in error.value.problems) == ("train_images" not in listing.unverified_counts)
    assert any("query images" in line for line in error.value.problems)


@pytest.mark.parametrize("reader", [name for name in READERS if name not in OWN])
def test_a_data_set_that_is_not_there_is_never_downloaded(reader: str, tmp_path: Path) -> None:
    given = next(given for given in SETS.values() if given.reader == reader)
    with pytest.raises(DataError, match=rf"no such folder.*never downloaded.*data/raw/{reader}, or set REID_DATA_"):
        given.list_images(tmp_path / "absent")


@pytest.mark.parametrize(("name", "part"), [(name, part) for name, given in SETS.items() for part in given.parts])
def test_a_missing_part_is_named(name: str, part: str, tmp_path: Path) -> None:
    folder = SETS[name].make(tmp_path)
    remove(folder / part)
    with pytest.raises(DataError) as error:
        SETS[name].list_images(folder)
    (message,) = error.value.problems
    assert part in message


@pytest.mark.parametrize("name", [name for name in SETS if name != "msmt17_converted"])
def test_the_folder_above_is_answered_with_the_right_one(name: str, tmp_path: Path) -> None:
    folder = SETS[name].make(tmp_path)
    with pytest.raises(DataError) as error:
        SETS[name].list_images(tmp_path)
    (message,) = error.value.problems
    assert f"{folder} has them: give that" in message


@each_set
@pytest.mark.parametrize("role", ["train", "query", "gallery"])
def test_a_damaged_image_is_named(name: str, role: str, tmp_path: Path) -> None:
    folder = SETS[name].make(tmp_path)
    path = next(entry.path for entry in SETS[name].list_images(folder).entries if entry.role == role)
    (folder / path).write_bytes((folder / path).read_bytes()[:100])
    with pytest.raises(DataError) as error:
        tabulate(SETS[name].list_images(folder), is_whole=False)
    (message,) = error.value.problems
    assert message.startswith(f"{path}: not a readable image, truncated or damaged")


@pytest.mark.parametrize("name", [name for name in SETS if name not in ("sysu_mm01", "synergyreid")])
def test_an_image_that_is_listed_and_not_there_is_named(name: str, tmp_path: Path) -> None:
    folder = SETS[name].make(tmp_path)
    listing = SETS[name].list_images(folder)
    (folder / listing.entries[0].path).unlink()
    with pytest.raises(DataError, match="no such file"):
        tabulate(listing, is_whole=False)


def test_every_reader_is_tried() -> None:
    assert {given.reader for given in SETS.values()} | set(OWN) == set(READERS)


def test_variants_of_a_data_set_never_share_a_name(tmp_path: Path) -> None:
    names = {}
    for name, given in SETS.items():
        names[name] = given.list_images(given.make(tmp_path / name)).name
    names.pop("msmt17_converted")
    assert len(set(names.values())) == len(names)


SEARCHES: dict[str, list[protocols.Search]] = {
    "market": [protocols.MARKET],
    "no_cameras": [protocols.NO_CAMERAS],
    "sysu_mm01": [
        protocols.sysu_mm01(name, shots=1, draws=draws, trials=2)
        for name in protocols.SYSU_GALLERIES
        for draws in ("official", "seeded")
    ],
    "regdb": [protocols.regdb(name) for name in protocols.REGDB_MODALITIES],
    "llcm": [protocols.llcm(name, trials=2) for name in protocols.LLCM_MODALITIES],
}


@each_set
def test_its_protocol_can_be_followed(name: str, tmp_path: Path) -> None:
    folder = SETS[name].make(tmp_path)
    if SETS[name].reader == "sysu_mm01":
        tiny_sets.sysu_draws(folder)
    listing = SETS[name].list_images(folder)
    table, _ = tabulate(listing, is_whole=False)
    for search in SEARCHES[listing.protocol]:
        trials = list(protocols.trials_of(search, table, listing.draws))
        assert len(trials) == search.trials
        for trial in trials:
            assert (trial.labels.num_matches > 0).all(), search


def test_makers_galleries_and_drawn_ones_have_one_image_of_each_identity_and_camera(tmp_path: Path) -> None:
    folder = tiny_sets.sysu_mm01(tmp_path)
    tiny_sets.sysu_draws(folder)
    listing = SETS["sysu_mm01"].list_images(folder)
    table, _ = tabulate(listing, is_whole=False)
    for search in SEARCHES["sysu_mm01"]:
        for trial in protocols.trials_of(search, table, listing.draws):
            pairs = table.iloc[trial.gallery][["person_id", "camera_id"]]
            assert not pairs.duplicated().any()


def test_own_images_are_looked_for_with_cameras_and_without(tmp_path: Path) -> None:
    folder = tiny_sets.people_folder(tmp_path)
    for camera, protocol in ((r"_c(\d+)", "market"), (None, "no_cameras")):
        listing = find("folder").list_images(folder, train_share=0.5, seed=1, camera=camera)
        table, _ = tabulate(listing, is_whole=False)
        assert listing.protocol == protocol
        (trial,) = protocols.trials_of(SEARCHES[protocol][0], table)
        assert (trial.labels.num_matches > 0).all()
