from pathlib import Path

import pytest

from pipeline.datasets.listing import Listing
from pipeline.datasets.recognition import understand
from pipeline.datasets.starting import MOST_EPOCHS, STEPS, describe, sized
from pipeline.images.table import DataError, Entry

RECIPE = {"training": {"epochs": 12}, "settings": {"batch": {"groups": 2, "identities": 4, "images": 4}}}


def listing(persons: int, images: int) -> Listing:
    """Returns images of persons to train on, and as many of one that is tested."""
    entries = [
        Entry(f"{person}/{image}.jpg", person, 0, "visible", "train")
        for person in range(1, persons + 1)
        for image in range(images)
    ]
    return Listing("own", Path("own"), [*entries, Entry("x.jpg", persons + 1, 0, "visible", "query")], num_cameras=0)


@pytest.mark.parametrize(
    ("persons", "images", "epochs", "identities"),
    [(2, 1, MOST_EPOCHS, 2), (6, 9, MOST_EPOCHS, None), (30, 16, 14, None), (751, 17, 12, None)],
)
def test_a_run_is_as_long_as_learning_takes_and_a_group_no_larger_than_there_are_people(
    persons: int, images: int, epochs: int, identities: int | None
) -> None:
    change, said = sized(RECIPE, listing(persons, images))
    assert change["training"] == {"epochs": epochs, "warmup_steps": {"share": 0.1}}
    assert change.get("settings") == (identities and {"batch": {"identities": identities}})
    assert said[0].startswith(f"{persons * images:,} images of {persons} persons to train on: {epochs} epochs of ")
    assert any("little to learn from" in line for line in said) == (persons < 30)
    steps = max(1, persons * images // 32)
    assert epochs == MOST_EPOCHS or epochs * steps >= STEPS


def test_one_person_is_too_little() -> None:
    with pytest.raises(DataError, match="too little to learn from: expected 2 persons to train on, got 1"):
        sized(RECIPE, listing(1, 20))


def test_images_of_nobody_are_told_from_persons(tmp_path: Path) -> None:
    for name in ("-1_c1_1.png", "0000_c1_1.png", "0000_c2_1.png", "1_c1_1.png", "2_c2_1.png"):
        (tmp_path / name).write_bytes(b"")
    said = list(describe(understand(tmp_path)))
    assert said[1] == "  2 persons, 2 images: 1, 2"
    assert said[2] == "  3 images of nobody: those named -1 are left out, those named 0 are distractors"
