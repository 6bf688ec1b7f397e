from pathlib import Path

import pytest

from pipeline.config import load
from pipeline.data.store import ImageStore
from stages import prepare

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
    people = load(Path(__file__).parents[2] / "params.yaml")["prepare"]["people"]
    small = {**people, "height": 32, "width": 16, "people": {**people["people"], **SIZES}}
    fresh.write(prepare={"small": small})
    fresh.run(prepare, "small")
    assert len(ImageStore(fresh.folder / "data" / "prepared" / "small").table) == 14
    printed = capsys.readouterr().out
    assert "train: 5 images, 2 identities, 3 cameras, 0 distractors" in printed
    assert "gallery: 5 images, 2 identities" in printed


def test_data_that_is_not_there_is_never_downloaded(fresh, refused):
    message = refused(fresh, prepare, "market")
    assert message.startswith(
        "error: data/raw/market1501: 1 problem\n  no such folder. Market-1501 is never downloaded."
    )
    assert not (fresh.folder / "data" / "prepared" / "market").exists()


def test_an_unknown_data_set_is_answered_with_the_known_ones(fresh, refused):
    assert refused(fresh, prepare, "markt") == "error: params.yaml has no prepare.markt; there is: market"


def test_every_wrong_key_is_named(fresh, refused):
    block = {**fresh.params["prepare"]["market"], "heigth": 32}
    del block["height"]
    fresh.write(prepare={"market": block})
    message = refused(fresh, prepare, "market")
    assert "prepare.market.height: missing" in message
    assert "prepare.market.heigth: unknown key" in message
