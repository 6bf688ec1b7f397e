import numpy as np
import pandas as pd
import pytest

from pipeline.training.cluster_labels import read_labels, write_labels


def test_labels_are_read_as_they_were_written(tmp_path):
    rows, labels = np.array([2, 3, 5, 8]), np.array([1, -1, 0, 1])
    write_labels(tmp_path / "deep" / "labels.parquet", rows, labels)
    assert np.array_equal(read_labels(tmp_path / "deep" / "labels.parquet", rows), labels)
    table = pd.read_parquet(tmp_path / "deep" / "labels.parquet")
    assert table.to_dict("list") == {"row": [2, 3, 5, 8], "label": [1, -1, 0, 1], "size": [2, 0, 1, 2]}


def test_a_table_of_noise_alone_can_be_written(tmp_path):
    write_labels(tmp_path / "labels.parquet", np.arange(3), np.full(3, -1))
    assert pd.read_parquet(tmp_path / "labels.parquet")["size"].tolist() == [0, 0, 0]


def test_labels_of_other_images_are_refused(tmp_path):
    write_labels(tmp_path / "labels.parquet", np.arange(4), np.zeros(4, dtype=int))
    with pytest.raises(
        ValueError, match="labels 4 images, and not the 3 that are trained on: cluster the same data set"
    ):
        read_labels(tmp_path / "labels.parquet", np.arange(3))
    pd.DataFrame({"row": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ValueError, match="expected the columns row, label, size, got row"):
        read_labels(tmp_path / "other.parquet", np.arange(1))
