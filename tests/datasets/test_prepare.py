import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import locking
from pipeline.config import load, parse
from pipeline.datasets.location import RAW
from pipeline.datasets.packing import Packing
from pipeline.datasets.prepare import PrepareParams, check, prepare
from pipeline.datasets.readers import market1501
from pipeline.datasets.validation.report import Report
from pipeline.images.store import ImageStore
from pipeline.images.table import Counts, DataError
from pipeline.synthetic_people import world
from pipeline.tables.published import read_published
from tests.datasets import tiny_sets

BLOCK: dict[str, Any] = {
    "reader": {"kind": "market1501", "distractors": False},
    "published_counts": False,
    "splits": 1,
    "height": 32,
    "width": 16,
    "resampling": "bicubic",
    "people": None,
}
SMALL = {
    "height": 32,
    "width": 16,
    "cameras": 3,
    "train": {"identities": 2, "appearances": 4, "images": 5},
    "test": {"identities": 2, "appearances": 4, "images": 8},
    "distractors": 1,
    "junk": 2,
}


PEOPLE = load(Path(__file__).parents[2] / "params.yaml")["data"]["people"]["people"]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("REID_DATA", "REID_DATA_MARKET1501", "REID_DATA_DUKEMTMC"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def params(**changes: Any) -> PrepareParams:
    return parse(PrepareParams, BLOCK | changes, "data.small")


def pack(name: str, params: PrepareParams, folder: Path) -> tuple[pd.DataFrame, Report]:
    """Prepares a data set of one split."""
    (made,) = prepare(name, params, folder)
    return made


def test_a_data_set_becomes_a_store_wherever_it_lies(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = []
    for place in ("here", "there"):
        folder = market.rename(market.with_name(place))
        monkeypatch.setenv("REID_DATA_MARKET1501", str(folder))
        table, _ = pack("small", params(), Path("data/prepared/small"))
        stores.append(ImageStore(Path("data/prepared/small")))
        assert stores[-1].table.equals(table)
        market = folder
    assert stores[0].meta == stores[1].meta
    assert (stores[0].images == stores[1].images).all()
    meta = stores[0].meta
    assert (meta["generated"], meta["height"], meta["width"]) == (False, 32, 16)
    assert (stores[0].table["person_id"] >= 0).all()


def test_a_whole_data_set_is_named_as_published_numbers_name_it_and_a_part_is_not(
    market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REID_DATA_MARKET1501", str(market))
    monkeypatch.setattr(market1501, "PUBLISHED", Counts(3, 2, 2, 2, 4, 2))
    names = []
    for is_whole in (True, False):
        pack("market_small", params(published_counts=is_whole), Path("out"))
        names.append(ImageStore(Path("out")).meta["name"])
    assert names == ["market1501", "market_small"]
    assert any(row.data == "market1501" for row in read_published())


def test_a_failed_preparation_leaves_no_store(market: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REID_DATA_MARKET1501", str(market))
    with pytest.raises(DataError, match="12,936 published, 3 here"):
        pack("small", params(published_counts=True), Path("out"))
    assert not Path("out").exists()


def test_a_generated_world_is_rendered_read_and_marked_as_generated() -> None:
    table, _ = pack("small", params(people=PEOPLE | SMALL), Path("out"))
    assert (RAW / "small" / "market1501" / "query").is_dir()
    store = ImageStore(Path("out"))
    assert (store.meta["name"], store.meta["generated"]) == ("small", True)
    assert store.meta["counts"]["train_images"] == 5
    assert (table["person_id"] == 0).sum() == 1
    assert len(table) == 5 + 8 + 1, "junk is left out"


def test_rendered_people_have_masks_row_by_row_and_a_store_from_before_gets_them() -> None:
    given = params(people=PEOPLE | SMALL)
    table, _ = pack("small", given, Path("out"))
    masks = ImageStore(Path("out")).masks
    assert masks is not None
    assert masks.shape == (len(table), given.height, given.width)
    for row in (0, len(table) - 1):
        with Image.open(RAW / "small" / world.mask_path(table["path"][row])) as mask:
            whole = np.asarray(mask)
        assert abs(masks[row].mean() - whole.mean()) < 3
    before = masks.tobytes()
    Path("out/masks.npy").unlink()
    assert ImageStore(Path("out")).masks is None
    pack("small", given, Path("out"))
    assert ImageStore(Path("out")).masks.tobytes() == before
    np.save("out/masks.npy", np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(ValueError, match=r"masks.npy: expected uint8 \[\d+, \d+, \d+\] as the images are"):
        ImageStore(Path("out"))


def test_a_store_says_by_which_protocol_its_queries_are_answered_and_holds_the_makers_draws(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_sets.sysu_mm01(project)
    monkeypatch.setenv("REID_DATA_SYSU_MM01", str(folder))
    given = params(reader={"kind": "sysu_mm01", "validation": True})
    _, report = pack("small", given, Path("out"))
    meta = ImageStore(Path("out")).meta
    assert (meta["protocol"], meta["settings"]) == ("sysu_mm01", {"validation": True})
    assert meta["notes"] == report.notes
    assert "rand_perm_cam.mat is not there" in report.notes[0]
    assert not Path("out/draws.parquet").exists()
    tiny_sets.sysu_draws(folder)
    assert pack("small", given, Path("out"))[1].notes == []
    store = ImageStore(Path("out"))
    draws = pd.read_parquet("out/draws.parquet")
    assert set(draws["path"]) == set(store.table.loc[store.table["role"] == "gallery", "path"])


def test_own_data_lie_under_the_name_of_their_block(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = params(reader={"kind": "folder", "train_share": 0.5, "seed": 1, "camera": None})
    tiny_sets.people_folder(project / "data" / "raw")
    table, _ = pack("my_people", own, Path("out"))
    meta = ImageStore(Path("out")).meta
    assert (len(table), meta["name"], meta["protocol"]) == (24, "my_people", "no_cameras")
    (project / "data" / "raw" / "my_people").rename(project / "elsewhere")
    monkeypatch.setenv("REID_DATA_MY_PEOPLE", str(project / "elsewhere"))
    assert pack("my_people", own, Path("out"))[0].equals(table)
    with pytest.raises(ValueError, match="published_counts: nobody has published counts of elsewhere; set it to false"):
        pack("my_people", own.model_copy(update={"published_counts": True}), Path("out"))


@pytest.mark.parametrize("top", ["", "people"])
def test_own_images_may_be_zipped_with_a_folder_around_them_or_without(project: Path, top: str) -> None:
    own = params(reader={"kind": "folder", "train_share": 0.5, "seed": 1, "camera": None})
    place = tiny_sets.people_folder(project / "data" / "raw" / top)
    (place / "._anna").write_text("")
    shutil.make_archive(str(project / "data" / "raw" / "my_people"), "zip", place.parent if top else place)
    shutil.rmtree(place.parent if top else place)
    table, report = pack("my_people", own, Path("out"))
    assert (len(table), report.errors) == (24, [])


def test_settings_of_another_reader_are_named() -> None:
    with pytest.raises(ValueError, match=r"data\.small\.reader\.version: unknown key \(known: distractors\)"):
        pack("small", params(reader={**BLOCK["reader"], "version": "V1"}), Path("out"))
    with pytest.raises(ValueError, match=r"reader: expected market1501, got 'markt1501'"):
        pack("small", params(reader={"kind": "markt1501"}), Path("out"))


def test_a_reader_without_a_name_is_said_to_have_none() -> None:
    with pytest.raises(ValueError, match=r"data\.small\.reader: missing kind: the name of a reader"):
        pack("small", params(reader={"distractors": False}), Path("out"))


def test_splits_lie_side_by_side_and_errors_of_one_are_in_the_report(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_sets.regdb(project)
    monkeypatch.setenv("REID_DATA_REGDB", str(folder))
    both = params(reader={"kind": "regdb"}, splits=2)
    assert len(list(prepare("small", both, Path("out")))) == 2
    metas = [ImageStore(Path("out") / split).meta for split in ("1", "2")]
    assert [meta["settings"] for meta in metas] == [{"split": 1}, {"split": 2}]
    assert metas[0]["fingerprint"] != metas[1]["fingerprint"]
    (folder / "idx" / "test_thermal_2.txt").unlink()
    with pytest.raises(DataError):
        list(prepare("small", both, Path("out")))
    assert "test_thermal_2.txt" in Path("out.report.json").read_text()


def test_a_zip_is_as_good_as_the_folder_in_it(market: Path, project: Path) -> None:
    place = project / "data" / "raw" / "market1501"
    place.parent.mkdir(parents=True)
    shutil.make_archive(str(place), "zip", market.parent, market.name)
    zipped, _ = pack("zipped", params(), Path("zipped"))
    shutil.rmtree(place)
    place.with_name("market1501.zip").unlink()
    market.rename(place)
    folder, _ = pack("folder", params(), Path("folder"))
    assert folder.equals(zipped)
    assert ImageStore(Path("zipped")).meta["fingerprint"] == ImageStore(Path("folder")).meta["fingerprint"]


def test_the_fingerprint_knows_neither_times_nor_order_nor_place(market: Path, project: Path) -> None:
    place = project / "data" / "raw" / "market1501"
    place.parent.mkdir(parents=True)
    shutil.copytree(market, place)
    before = pack("one", params(), Path("one"))[1].fingerprint
    shutil.rmtree(place)
    for path in sorted(market.rglob("*.jpg"), reverse=True):  # written in another order, so listed in another one
        target = place / path.relative_to(market)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
        os.utime(target, (1, 1))
    assert pack("two", params(), Path("two"))[1].fingerprint == before
    (place / "query" / "0001_c1s1_001051_00.jpg").rename(place / "query" / "0001_c2s1_001051_00.jpg")
    assert pack("two", params(), Path("two"))[1].fingerprint != before


def test_what_cannot_be_listed_leaves_a_report_as_well(project: Path) -> None:
    with pytest.raises(DataError):
        pack("small", params(), Path("out"))
    written = Path("out.report.json").read_text()
    assert "no such folder" in written
    check("small", params(), Path("out"))
    assert Path("out.report.json").read_text() == written


def test_two_processes_that_prepare_the_same_are_refused_and_the_first_keeps_what_it_has(
    market: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REID_DATA_MARKET1501", str(market))
    monkeypatch.setattr(locking, "PATIENCE_SECONDS", 0.0)
    store, tried = Packing.store, []

    def interrupted(self: Packing, *image: Any) -> None:
        if not tried:
            tried.append("once")
            with pytest.raises(ValueError, match="out is being prepared by another process: wait for it, or stop it"):
                pack("small", params(), Path("out"))
        store(self, *image)

    monkeypatch.setattr(Packing, "store", interrupted)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    pack("small", params(), Path("out"))
    assert tried
    pack("small", params(), Path("alone"))
    assert (ImageStore(Path("out")).images == ImageStore(Path("alone")).images).all()


def test_a_world_that_is_being_rendered_is_waited_for_by_who_looks_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    render_chunk, reports = world._render_chunk, []
    given = params(people=PEOPLE | SMALL)
    second = threading.Thread(target=lambda: reports.append(check("small", given, Path("looked"))))

    def slow(*arguments: Any) -> int:
        if second.ident is None:
            second.start()
            second.join(0.5)
            assert second.is_alive(), "it waits"
        return render_chunk(*arguments)

    monkeypatch.setattr(world, "_render_chunk", slow)
    reports.append(pack("small", given, Path("out"))[1])
    second.join()
    first, last = (report.as_json() for report in reports)
    assert first == last
    assert first["sizes"]["train"]["images"] == 5
