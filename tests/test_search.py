import numpy as np
import pytest
from PIL import Image

from pipeline import search
from pipeline.images.store import ImageStore
from pipeline.training.checkpoint import open_checkpoint
from tests.noise import BASELINE, MDPR
from tests.report.conftest import write_training


@pytest.fixture(scope="module")
def project(noise, tmp_path_factory):
    """A folder with a checkpoint and image files: two persons, three images each, in two folders."""
    root = tmp_path_factory.mktemp("search")
    store = ImageStore(noise)
    for name, block in (("baseline", BASELINE), ("mdpr", MDPR)):
        write_training(root / "train", store, name, block)
    generator = np.random.default_rng(0)
    for person in ("ada", "bob"):
        pattern = generator.integers(40, 216, (64, 32, 3))
        (root / "gallery" / person).mkdir(parents=True)
        for number in range(3):
            image = (pattern + generator.integers(-20, 20, pattern.shape)).astype(np.uint8)
            Image.fromarray(image).save(root / "gallery" / person / f"{number}.png")
    (root / "gallery" / ".hidden.png").write_bytes(b"")
    (root / "gallery" / "notes.txt").write_text("no image")
    return root


@pytest.mark.parametrize("name", ["baseline", "mdpr"])
def test_images_of_the_same_person_are_nearest_and_the_query_is_not_found(project, name):
    query = project / "gallery" / "bob" / "1.png"
    found = search.search(project / "train" / name, project / "gallery", query, count=10, infrared="none")
    assert [match.file.parent.name for match in found] == ["bob", "bob", "ada", "ada", "ada"]
    assert query not in [match.file for match in found]
    assert [match.distance for match in found] == sorted(match.distance for match in found)


def test_embeddings_are_those_of_the_packed_images_whatever_the_batch(project, noise, monkeypatch):
    from pipeline.methods.registry import find
    from pipeline.scoring.embedding import embed_rows
    from pipeline.scoring.evaluate import model_from
    from tests.noise import EVALUATION

    store, found = ImageStore(noise), open_checkpoint(project / "train" / "baseline")
    files = []
    for row in range(5):
        files.append(project / f"{row}.png")
        Image.fromarray(store.images[row]).save(files[-1])
    monkeypatch.setattr(search, "IMAGES_AT_ONCE", 2)
    embeddings = search.embed_files(search.open_network(project / "train" / "baseline"), files)
    model = model_from(found, find("baseline"), store)
    expected = embed_rows(model.embedder, store, np.arange(5), batch=EVALUATION["batch"], flip=EVALUATION["flip"])
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(embeddings, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("ada/9.png", "no such file"),
        ("notes.txt", r"notes\.txt: not a readable image"),
        ("ada", "ada is a folder, expected a plain file: the query is one image of it"),
    ],
)
def test_a_query_that_is_no_image_is_named(project, query, message):
    with pytest.raises((ValueError, OSError), match=message):
        search.search(
            project / "train" / "baseline", project / "gallery", project / "gallery" / query, count=1, infrared="none"
        )


def test_a_gallery_without_other_images_is_an_error(project, tmp_path):
    with pytest.raises(ValueError, match="no images here"):
        search.list_images(tmp_path)
    query = tmp_path / "alone.png"
    Image.new("RGB", (8, 8)).save(query)
    with pytest.raises(ValueError, match="nothing but the query"):
        search.search(project / "train" / "baseline", tmp_path, query, count=1, infrared="none")


@pytest.mark.parametrize("count", [0, -1])
def test_a_count_that_shows_nothing_is_named(project, count):
    query = project / "gallery" / "bob" / "1.png"
    with pytest.raises(ValueError, match=f"count: expected 1 image to show, or more, got {count}"):
        search.search(project / "train" / "baseline", project / "gallery", query, count=count, infrared="none")


def test_a_gallery_is_searched_through_links_and_one_that_leads_nowhere_is_named(project, tmp_path):
    (tmp_path / "bob").symlink_to(project / "gallery" / "bob")
    assert [file.name for file in search.list_images(tmp_path)] == ["0.png", "1.png", "2.png"]
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match=r"gone\.png: a link to .*nowhere\.png, where nothing is"):
        search.list_images(tmp_path)
    with pytest.raises(ValueError, match="absent: 1 problem\n  no such folder"):
        search.list_images(tmp_path / "absent")
