import hashlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.config import parse
from pipeline.synthetic_people import photo as photos
from pipeline.synthetic_people import world
from pipeline.synthetic_people.sheet import contact_sheet

BLOCK = {
    "seed": 5,
    "height": 32,
    "width": 16,
    "cameras": 3,
    "train": {"identities": 4, "appearances": 12, "images": 14},
    "test": {"identities": 4, "appearances": 12, "images": 26},
    "distractors": 3,
    "junk": 2,
    "siblings": 0.5,
    "street": {"box_jitter": 0.07, "occluders": 0.3, "bystanders": 0.3, "standing": 0.2},
    "sensor": {
        "camera_gain": 0.06, "camera_exposure": 0.16, "camera_gamma": 0.15, "image_gain": 0.05, "image_exposure": 0.1,
        "noise": 0.014, "infrared_noise": 0.02, "blur": 0.35, "jpeg_lowest": 75, "jpeg_highest": 95,
        "infrared_luminance": 0.8,
    },
}  # fmt: skip
NAME = re.compile(r"(-1|\d{4})_c(\d)s\d_\d{6}_\d{2}\.jpg")


def params(**changes):
    return parse(world.PeopleParams, BLOCK | changes, "people")


def fingerprint(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people") / "world"
    world.render(params(), folder, workers=1)
    return folder


def test_the_files_are_the_same_to_the_byte_for_any_number_of_processes(rendered, tmp_path):
    world.render(params(), tmp_path / "world", workers=3)
    assert fingerprint(tmp_path / "world") == fingerprint(rendered)


def test_images_lie_as_in_market1501(rendered):
    market = rendered / "market1501"
    counts = {part.name: len(list(part.iterdir())) for part in market.iterdir()}
    assert counts == {"bounding_box_train": 14, "query": 12, "bounding_box_test": 26 - 12 + 3 + 2}
    names = [path.name for path in market.rglob("*.jpg")]
    assert all(NAME.fullmatch(name) for name in names)
    assert sum(name.startswith("-1_") for name in names) == 2
    assert sum(name.startswith("0000_") for name in names) == 3
    with Image.open(next((market / "query").iterdir())) as image:
        assert (image.size, image.mode, image.format) == ((16, 32), "RGB", "JPEG")


def test_each_image_of_market1501_has_its_mask(rendered):
    for file in (rendered / "market1501").rglob("*.jpg"):
        with Image.open(rendered / world.mask_path(file.relative_to(rendered / "market1501").as_posix())) as mask:
            assert (mask.size, mask.mode) == ((16, 32), "L")


def test_a_mask_is_where_the_person_changes_the_picture():
    setting = params(height=64, width=32, street={**BLOCK["street"], "occluders": 0.0, "bystanders": 0.0})
    person = next(shot for shot in world.shots(setting) if shot.person > 0)
    photo = world.photograph(setting, person)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photos, "_lay", lambda *_: None)
        empty = world.photograph(setting, person)
    moved = np.abs(np.asarray(photo.visible, int) - np.asarray(empty.visible, int)).max(axis=2)
    mask = np.asarray(photo.mask)
    assert 0.1 < np.mean(mask > 127) < 0.7
    assert np.mean(moved[mask > 200]) > 20
    assert np.max(moved[mask == 0], initial=0) <= np.mean(moved[mask > 200])


def test_what_stands_in_the_way_is_no_part_of_the_person():
    free, blocked = (
        params(height=64, width=32, street={**BLOCK["street"], "occluders": share}) for share in (0.0, 1.0)
    )
    people = [shot for shot in world.shots(free) if shot.person > 0][:12]
    covers = [[np.mean(np.asarray(world.photograph(each, shot).mask)) for shot in people] for each in (free, blocked)]
    assert all(less <= more for more, less in zip(*covers, strict=True))
    assert np.mean(covers[1]) < 0.95 * np.mean(covers[0])


def test_a_box_with_nobody_in_it_has_an_empty_mask():
    setting = params(distractors=20)
    empty = [shot for shot in world.shots(setting) if shot.person == 0]
    shares = [np.asarray(world.photograph(setting, shot).mask).any() for shot in empty]
    assert 0 < sum(shares) < len(shares)


def test_images_lie_as_in_sysu_mm01_with_cameras_3_and_6_infrared(rendered):
    sysu = rendered / "sysu_mm01"
    lists = {path.stem: [int(part) for part in path.read_text().split(",")] for path in (sysu / "exp").iterdir()}
    assert set(lists) == {"train_id", "val_id", "test_id"}
    people = [person for found in lists.values() for person in found]
    assert len(people) == len(set(people))
    for person in people:
        assert (sysu / "cam3" / f"{person:04d}" / "0001.jpg").is_file()
    for path in sysu.glob("cam*/*/*.jpg"):
        pixels = np.asarray(Image.open(path)).astype(int)
        grey = np.abs(pixels - pixels[..., :1]).max() <= 2
        assert grey == (path.parts[-3] == "cam3")


def test_rendering_the_same_world_again_does_nothing(rendered, capsys):
    before = {path: path.stat().st_mtime_ns for path in rendered.rglob("*.jpg")}
    world.render(params(), rendered, workers=1)
    assert {path: path.stat().st_mtime_ns for path in rendered.rglob("*.jpg")} == before
    assert "already" in capsys.readouterr().err


def test_another_world_replaces_the_old_one(tmp_path, capsys):
    one = {"identities": 1, "appearances": 2, "images": 4}
    small = {"train": one, "test": one}
    world.render(params(**small), tmp_path / "world", workers=1)
    world.render(params(**small, junk=0), tmp_path / "world", workers=1)
    assert not list((tmp_path / "world").rglob("-1_*"))
    assert "replaced" in capsys.readouterr().err


def test_a_folder_with_something_else_in_it_is_refused_and_kept(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(ValueError, match="choose another folder"):
        world.render(params(), tmp_path, workers=1)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_broken_rendering_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(world, "_render_all", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        world.render(params(), tmp_path / "world", workers=1)
    assert not (tmp_path / "world").exists()


@pytest.mark.parametrize(
    ("population", "message"),
    [
        ({"identities": 4, "appearances": 7, "images": 30}, r"people.test.*expected 8 .* to 12"),
        ({"identities": 4, "appearances": 13, "images": 30}, r"people.test.*expected 8 .* to 12"),
        ({"identities": 4, "appearances": 10, "images": 19}, r"people.test: 19 images for 20"),
    ],
)
def test_counts_that_do_not_fit_are_refused(population, message):
    with pytest.raises(ValueError, match=message):
        world.shots(params(test=population))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.floats(0, 1), st.integers(0, 30), st.integers(2, 8), st.integers(0, 99))
def test_every_query_has_a_match_before_another_camera(identities, share, extra, cameras, seed):
    appearances = round(identities * (2 + share * (cameras - 2)))
    population = {"identities": identities, "appearances": appearances, "images": 2 * appearances + extra}
    found = world.shots(params(seed=seed, cameras=cameras, test=population, train=population))
    test = [shot for shot in found if shot.person > identities]
    queries = [shot for shot in test if shot.role == "query"]
    assert len(queries) == appearances
    assert len(test) == population["images"]
    assert sum(shot.role == "train" for shot in found) == population["images"]
    seen = {(shot.person, shot.camera) for shot in test if shot.role == "gallery"}
    for query in queries:
        assert any(person == query.person and camera != query.camera for person, camera in seen)


def test_a_world_can_have_the_counts_of_market1501():
    full = params(
        cameras=6,
        train={"identities": 751, "appearances": 3368, "images": 12936},
        test={"identities": 750, "appearances": 3368, "images": 3368 + 13115},
        distractors=2798,
        junk=3819,
    )
    roles = [(shot.role, shot.person) for shot in world.shots(full)]
    assert sum(role == "train" for role, _ in roles) == 12936
    assert sum(role == "query" for role, _ in roles) == 3368
    assert sum(role == "gallery" and person >= 0 for role, person in roles) == 15913
    assert len({shot.number for shot in world.shots(full)}) == len(roles)


def test_siblings_share_a_split_and_most_of_their_traits():
    people = world.identities(params())
    assert sum(one.skin == other.skin for one, other in zip(people[::2], people[1::2], strict=True)) == 2
    assert people[0].skin == people[1].skin
    assert people[4].skin == people[5].skin


def test_one_image_depends_on_nothing_but_the_seed_and_what_it_is():
    setting = params()
    shots = world.shots(setting)
    alone = np.asarray(world.photograph(setting, shots[7])[0])
    for shot in shots[:3]:
        world.photograph(setting, shot)
    np.testing.assert_array_equal(np.asarray(world.photograph(setting, shots[7])[0]), alone)
    other = np.asarray(world.photograph(params(seed=6), shots[7])[0])
    assert (other != alone).mean() > 0.5


def test_the_sheet_is_drawn_from_what_lies_on_disk(rendered, tmp_path):
    contact_sheet(rendered, tmp_path / "sheet.jpg")
    with Image.open(tmp_path / "sheet.jpg") as image:
        assert min(image.size) > 60
    with pytest.raises(ValueError, match="expected a rendered world"):
        contact_sheet(tmp_path, tmp_path / "sheet.jpg")
