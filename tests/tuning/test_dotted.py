from pipeline.tuning.dotted import nested, value_at

BLOCK = {"seed": 1, "training": {"epochs": 2, "decay": {"kind": "cosine", "final": 0.0}}}


def test_a_value_is_found_by_its_dotted_name():
    assert value_at(BLOCK, "training.decay.kind") == "cosine"


def test_values_by_dotted_names_become_a_block():
    values = {"seed": 1, "training.epochs": 2, "training.decay.kind": "cosine", "training.decay.final": 0.0}
    assert nested(values) == BLOCK
    assert all(value_at(nested(values), name) == value for name, value in values.items())
