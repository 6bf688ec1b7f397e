from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from pipeline.datasets.layouts.matlab import read_variables


@pytest.fixture
def file(tmp_path: Path) -> Path:
    cells = np.empty((1, 2), dtype=object)
    cells[0, 0], cells[0, 1] = np.array([[1, 2]]), np.array([["a.png"]])
    savemat(tmp_path / "lists.mat", {"labels": np.array([[3], [5]]), "cells": cells, "other": 1.0})
    return tmp_path / "lists.mat"


def test_variables_come_in_the_order_in_which_they_are_asked_for(file: Path) -> None:
    cells, labels = read_variables(file, ["cells", "labels"])
    assert labels.tolist() == [[3], [5]], "two dimensions, as MATLAB has them"
    assert cells.dtype == object
    assert (cells[0, 0].tolist(), cells[0, 1].item().strip()) == ([[1, 2]], "a.png")


def test_all_variables_that_are_not_there_are_named(file: Path) -> None:
    with pytest.raises(ValueError, match="expected the variables labels, train, query, train, query not there"):
        read_variables(file, ["labels", "train", "query"])


@pytest.mark.parametrize("kept", [0, 5, 100, 200])
def test_a_damaged_file_is_said_to_be_damaged(file: Path, kept: int) -> None:
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"not a MATLAB file, truncated or damaged \("):
        read_variables(file, ["labels"])


@pytest.mark.parametrize("content", [b"<html>404</html>", b"\0" * 300])
def test_what_is_no_matlab_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lists.mat").write_bytes(content)
    with pytest.raises(ValueError, match="not a MATLAB file"):
        read_variables(tmp_path / "lists.mat", ["labels"])


def test_a_file_of_version_7_3_is_refused_with_its_version(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "lists.mat", "w", userblock_size=512) as content:
        content["labels"] = np.ones((2, 1))
    with (tmp_path / "lists.mat").open("r+b") as head:
        head.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    with pytest.raises(ValueError, match=r"v7\.3"):
        read_variables(tmp_path / "lists.mat", ["labels"])
