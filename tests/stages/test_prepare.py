import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.config import load
from pipeline.images.store import ImageStore
from tests.datasets import tiny_sets
from tests.stages.conftest import MARKET

ROOT = Path(__file__).parents[2]

SIZES = {
    "height": 32,
    "width": 16,
    "cameras": 3,
    "train": {"identities": 2, "appearances": 4, "images": 5},
    "test": {"identities": 2, "appearances": 4, "images": 8},
    "distractors": 1,
    "junk": 2,
}


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
    for variable in ("REID_DATA", "REID_DATA_MARKET1501"):
        monkeypatch.delenv(variable, raising=False)


def test_a_generated_data_set_is_packed_and_summed_up(fresh, capsys):
    people = load(Path(__file__).parents[2] / "params.yaml")["data"]["people"]
    fresh.write(data={"people": people, "small": {"like": "people", "height": 32, "width": 16, "people": SIZES}})
    fresh.run("prepare", "small")
    assert len(ImageStore(fresh.folder / "data" / "prepared" / "small").table) == 14
    printed = capsys.readouterr().out
    assert "train: 5 images, 2 identities, 3 cameras, 0 distractors" in printed
    assert "gallery: 5 images, 2 identities" in printed


def test_a_contact_sheet_is_drawn_of_generated_people_alone(fresh, refused, market, tmp_path):
    people = load(Path(__file__).parents[2] / "params.yaml")["data"]["people"]
    fresh.add("data", people=people, small={"like": "people", "height": 32, "width": 16, "people": SIZES})
    fresh.run("prepare", "small", "--sheet", str(tmp_path / "sheet.png"))
    assert Image.open(tmp_path / "sheet.png").width > 32
    message = refused(fresh, "prepare", "market", "--sheet", str(tmp_path / "other.png"))
    assert message == "error: --sheet is for generated people, and market is of real ones"
    assert not (fresh.folder / "data" / "prepared" / "market").exists()


def test_each_split_of_a_data_set_is_packed_by_itself_under_one_report(fresh, monkeypatch, capsys):
    monkeypatch.setenv("REID_DATA_REGDB", str(tiny_sets.regdb(fresh.folder.parent)))
    fresh.add("data", regdb={**MARKET, "reader": {"kind": "regdb"}, "published_counts": False, "splits": 2})
    fresh.run("prepare", "regdb")
    prepared = fresh.folder / "data" / "prepared"
    assert sorted(place.name for place in (prepared / "regdb").iterdir()) == ["1", "2"], "all that DVC keeps of it"
    assert (prepared / "regdb.report.json").is_file()
    first, second = (ImageStore(prepared / "regdb" / number).meta for number in "12")
    assert first["fingerprint"] != second["fingerprint"]
    assert [meta["settings"] for meta in (first, second)] == [{"split": 1}, {"split": 2}]
    assert capsys.readouterr().out.count("regdb: 0 errors") == 2


def test_data_that_is_not_there_is_never_downloaded(fresh, refused):
    message = refused(fresh, "prepare", "market")
    assert message.startswith(
        "error: data/raw/market1501: 1 problem\n  no such folder. Market-1501 is never downloaded."
    )
    assert not (fresh.folder / "data" / "prepared" / "market").exists()


def test_an_unknown_data_set_is_answered_with_the_known_ones(fresh, refused):
    assert refused(fresh, "prepare", "markt") == "error: params.yaml has no data.markt; did you mean market?"


def test_every_wrong_key_is_named(fresh, refused):
    block = {**MARKET, "heigth": 32}
    del block["height"]
    fresh.write(data={"market": block})
    message = refused(fresh, "prepare", "market")
    assert "data.market.height: missing" in message
    assert "data.market.heigth: unknown key" in message


ROOT = Path(__file__).parents[2]
NAMES = (
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c2s1_000776_01.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "bounding_box_test/0001_c2s1_001976_02.jpg",
)


@pytest.fixture
def market(fresh):
    """Four images in the layout of Market-1501, where the block ``market`` looks for them, as a part of it."""
    fresh.write(data={"market": {**MARKET, "published_counts": False}})
    folder = fresh.folder / "data" / "raw" / "market1501"
    for seed, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (32, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def command(project, *arguments):
    """Runs a command as a process of its own."""
    words = [sys.executable, "-m", "stages", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.run(words, cwd=project.folder, env=environment, capture_output=True, text=True, check=False)


def report(project):
    return json.loads((project.folder / "data" / "prepared" / "market.report.json").read_text())


def test_a_good_data_set_is_checked_with_status_zero_and_nothing_is_packed(fresh, market):
    ended = command(fresh, "doctor", "market")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("market: 0 errors, 0 warnings\n  train: 2 images, 1 identities, 2 cameras")
    assert ended.stdout.endswith("all of it: data/prepared/market.report.json\n")
    assert len(report(fresh)["fingerprint"]) == 64
    assert not (fresh.folder / "data" / "prepared" / "market").exists()


def test_a_broken_one_is_checked_with_status_one_and_everything_is_named(fresh, market):
    (market / NAMES[0]).write_bytes((market / NAMES[3]).read_bytes())
    (market / NAMES[1]).write_bytes(b"")
    (market / "query" / "holiday.jpg").write_bytes(b"")
    ended = command(fresh, "doctor", "market")
    assert (ended.returncode, ended.stderr) == (1, "")
    for name in (*NAMES[:2], NAMES[3], "query/holiday.jpg"):
        assert name in ended.stdout
    found = {one["rule"]: one["level"] for one in report(fresh)["findings"]}
    assert found == {"reader": "error", "empty": "error", "leaked": "error"}
    assert report(fresh)["fingerprint"] == ""


def test_the_stage_itself_refuses_it_with_the_same_report(fresh, market, refused):
    (market / NAMES[1]).write_bytes(b"")
    message = refused(fresh, "prepare", "market")
    from_the_stage = report(fresh)
    assert message.startswith("error: data/raw/market1501\nmarket: 1 error, 0 warnings\n")
    assert command(fresh, "doctor", "market").returncode == 1
    assert report(fresh) == from_the_stage


def test_warnings_alone_keep_nothing_from_being_prepared(fresh, market, capsys):
    (market / NAMES[1]).write_bytes((market / NAMES[0]).read_bytes())
    assert command(fresh, "doctor", "market").returncode == 0
    checked = report(fresh)
    fresh.run("prepare", "market")
    assert "warning: images that are there more than once (1)" in capsys.readouterr().out
    assert report(fresh) == checked
    assert ImageStore(fresh.folder / "data" / "prepared" / "market").meta["fingerprint"] == checked["fingerprint"]


def test_data_that_is_not_there_is_a_finding_too(fresh):
    ended = command(fresh, "doctor", "market")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert "data/raw/market1501: no such folder. Market-1501 is never downloaded." in ended.stdout
    (found,) = report(fresh)["findings"]
    assert found["rule"] == "reader"


def test_a_name_that_is_no_text_is_named_by_every_command(fresh, market):
    (market / "query" / os.fsdecode(b"0001_\xe9.jpg")).write_bytes(b"")
    fresh.add("data", market={**MARKET, "published_counts": False})
    for command in ("prepare", "doctor"):
        answer = subprocess.run(
            [sys.executable, "-m", "stages", command, "market"], check=False, cwd=fresh.folder, capture_output=True,
            env={**os.environ, "REID_DATA_MARKET1501": str(market), "PYTHONPATH": str(ROOT)}, text=True, timeout=120,
        )  # fmt: skip
        assert answer.returncode == 1
        assert "Traceback" not in answer.stderr
        assert r"query/0001_\udce9.jpg: not named as" in answer.stdout + answer.stderr
