import numpy as np
import pytest
from PIL import Image

CHECKPOINT = ("--checkpoint", "artifacts/train/pretrain")


@pytest.fixture
def gallery(tmp_path):
    """Two persons, three images each, in two folders."""
    generator = np.random.default_rng(0)
    for person in ("ada", "bob"):
        pattern = generator.integers(40, 216, (64, 32, 3))
        (tmp_path / "gallery" / person).mkdir(parents=True)
        for number in range(3):
            image = (pattern + generator.integers(-20, 20, pattern.shape)).astype(np.uint8)
            Image.fromarray(image).save(tmp_path / "gallery" / person / f"{number}.png")
    (tmp_path / "gallery" / "notes.txt").write_text("no image")
    return tmp_path / "gallery"


def test_it_prints_and_draws_the_list(trained, gallery, tmp_path, capsys):
    drawn, query = tmp_path / "list.png", gallery / "ada" / "0.png"
    words = ("--gallery", str(gallery), "--query", str(query), "--count", "3", "--draw", str(drawn))
    trained.run("search", *CHECKPOINT, *words)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[1].endswith(("ada/1.png", "ada/2.png"))
    assert lines[-1] == f"drawn: {drawn}"
    assert Image.open(drawn).width > Image.open(drawn).height
    columns = np.asarray(Image.open(drawn).convert("L")).min(axis=0) < 255
    assert np.count_nonzero(np.diff(columns.astype(int)) == 1) >= 4  # the query and three images, side by side


@pytest.mark.parametrize(
    ("query", "message"), [("ada/9.png", "no such file"), ("notes.txt", "notes.txt: not a readable image")]
)
def test_a_query_that_is_no_image_is_exit_on_user_error(trained, gallery, refused, query, message):
    words = ("--gallery", str(gallery), "--query", str(gallery / query))
    said = refused(trained, "search", *CHECKPOINT, *words)
    assert said.startswith("error: ")
    assert message in said
    assert not (trained.folder / "ranked_list.png").exists()
