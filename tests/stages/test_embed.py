import numpy as np
import pandas as pd
import pytest

from pipeline.images.store import ImageStore
from tests.jobs.conftest import ray

__all__ = ["ray"]
DATA = ("--data", "data/prepared/noise")


def test_the_images_of_a_part_become_a_file_of_embeddings_and_one_of_their_rows(ray, trained, tmp_path, capsys):
    out = tmp_path / "out"
    trained.run("embed", "--checkpoint", "artifacts/train/pretrain", *DATA, "--part", "test", "--out", str(out))
    trained.run("evaluate", "pretrain", "--out", str(tmp_path / "scored"))
    embeddings, rows = np.load(out / "embeddings.npy"), pd.read_parquet(out / "rows.parquet")
    table = ImageStore(trained.folder / "data" / "prepared" / "noise").table
    assert embeddings.dtype == np.float32
    np.testing.assert_array_equal(embeddings, np.load(tmp_path / "scored" / "embeddings.npy"))
    assert rows["path"].tolist() == table.loc[table["split"] == "test", "path"].tolist()
    assert f"embeddings of {len(rows)} images, {embeddings.shape[1]} numbers each: {out}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("checkpoint", "data", "message"),
    [
        ("artifacts/train/absent", "data/prepared/noise", "error: artifacts/train/absent: no readable meta.json"),
        ("artifacts/train/pretrain", "data/prepared/absent", "error: data/prepared/absent holds no packed images"),
    ],
)
def test_what_is_not_there_is_named(ray, trained, tmp_path, refused, checkpoint, data, message):
    words = ("--checkpoint", checkpoint, "--data", data, "--out", str(tmp_path / "out"))
    assert message in refused(trained, "embed", *words)
    assert not (tmp_path / "out").exists()
