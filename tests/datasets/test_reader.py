"""What every reader does, on a tiny data set in the layout of the real one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import Record
from pipeline.datasets.reader import find, names
from pipeline.datasets.validation.examination import tabulate
from pipeline.evaluation import protocols
from pipeline.images.table import DataError
from tests.datasets import tiny_sets
from tests.datasets.reader_sets import find_sets

ROOT = Path(__file__).parents[2]
SETS = find_sets()
PUBLISHED = [name for name in names() if find(name).TITLE is not None]
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


@pytest.mark.parametrize("reader", PUBLISHED)
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


@pytest.mark.parametrize("name", [name for name in SETS if not SETS[name].is_conversion])
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


@each_set
def test_an_image_that_is_listed_and_not_there_is_named(name: str, tmp_path: Path) -> None:
    folder = SETS[name].make(tmp_path)
    listing = SETS[name].list_images(folder)
    (folder / listing.entries[0].path).unlink()
    with pytest.raises(DataError, match="no such file"):
        tabulate(listing, is_whole=False)


def test_every_published_data_set_is_tried() -> None:
    tried = {given.reader for given in SETS.values()}
    missing = [f"tests/datasets/readers/test_{name}.py: no SETS" for name in PUBLISHED if name not in tried]
    assert not missing, missing


@pytest.mark.parametrize("name", names())
def test_a_reader_has_all_that_is_asked_of_it(name: str) -> None:
    reader = find(name)
    assert issubclass(reader.Settings, Record)
    assert callable(reader.list_images)
    assert reader.ADVICE
    assert (reader.TITLE is None) == (not reader.CITATIONS)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="expected market1501, got 'market1510'"):
        find("market1510")
    with pytest.raises(ValueError, match=f"expected {' or '.join(names())}, got 'x'"):
        find("x")


def test_finding_names_imports_no_reader() -> None:
    code = (
        "import sys; from pipeline.datasets import reader; reader.names(); reader.path_of('cuhk03'); "
        "sys.exit(any(name.startswith(reader.PACKAGE) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0


def test_variants_of_a_data_set_never_share_a_name(tmp_path: Path) -> None:
    called = [
        given.list_images(given.make(tmp_path / name)).name for name, given in SETS.items() if not given.is_conversion
    ]
    assert len(set(called)) == len(called)


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
