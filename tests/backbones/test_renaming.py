import pytest
import torch

from pipeline.backbones.renaming import rename


def test_the_first_row_that_fits_replaces_the_beginning_and_takes_the_number_over():
    state = {"head.12.a.weight": torch.zeros(1), "head.x": torch.ones(1)}
    renamed = rename(state, [("head.#.a", "parts.#"), ("head.", "rest.")], network="Net")
    assert list(renamed) == ["parts.12.weight", "rest.x"]
    assert renamed["rest.x"] is state["head.x"]


def test_a_beginning_inside_a_name_does_not_fit():
    with pytest.raises(ValueError, match=r"1 tensors are not Net's, among them my\.head\.x"):
        rename({"my.head.x": torch.zeros(1)}, [("head.", "rest.")], network="Net")


def test_a_dot_of_the_table_is_a_dot():
    with pytest.raises(ValueError, match="headax"):
        rename({"headax": torch.zeros(1)}, [("head.", "rest.")], network="Net")
