import pytest

from pipeline.tuning.overlay import overlaid, value_at

BLOCK = {
    "seed": 1,
    "training": {"epochs": 2, "decay": {"kind": "cosine", "final": 0.0}},
    "first_pass": {"momentum": 0.1},
}


def test_a_patch_replaces_what_it_names_and_nothing_else():
    patched = overlaid(BLOCK, {"training": {"decay": {"final": 0.1}}}, "tune.a.start")
    assert patched == {**BLOCK, "training": {"epochs": 2, "decay": {"kind": "cosine", "final": 0.1}}}
    assert BLOCK["training"]["decay"]["final"] == 0.0


def test_a_block_can_be_replaced_by_none():
    assert overlaid(BLOCK, {"first_pass": None}, "tune.a.fidelity")["first_pass"] is None


def test_a_key_that_overrides_nothing_is_named():
    with pytest.raises(
        ValueError, match=r"tune\.a\.start\.training\.epoch overrides nothing: expected one of epochs, "
    ):
        overlaid(BLOCK, {"training": {"epoch": 3}}, "tune.a.start")


def test_a_value_is_found_by_its_dotted_name():
    assert value_at(BLOCK, "training.decay.kind") == "cosine"
