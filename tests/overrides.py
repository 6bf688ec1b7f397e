"""Takes every number of params.yaml through DVC's overrides, and prints what each moved: a process of its own.

``python -m tests.overrides FILE leaves|forced``: every leaf where it stands, or every number of every experiment by
``++``. DVC's own function does it; only reading and writing the file, the same each time, is left out.
"""

import copy
import json
import sys
from contextlib import contextmanager
from pathlib import Path

from dvc.utils import serialize
from dvc.utils.hydra import apply_overrides

from pipeline import config, experiments

OTHER = {bool: lambda value: not value, int: lambda value: value + 7, float: lambda value: value + 0.015625}


def other(value):
    """Returns a value of the same kind that is another one, as an override has it."""
    if isinstance(value, list):
        return [other(value[0]), *value[1:]] if value else [1]
    return OTHER[type(value)](value) if type(value) in OTHER else f"{value or 'un'}other"


def leaves(block, path=()):
    for key, value in block.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        elif value != {}:
            yield (*path, key), value


def overridden(tree, words):
    """Returns what DVC makes of the tree, once it has taken the override."""
    made = copy.deepcopy(tree)

    @contextmanager
    def modify(path):
        yield made

    serialize.MODIFIERS[".yaml"] = modify
    apply_overrides("params.yaml", [words])
    return made


def as_word(value):
    if value is None:
        return "null"
    return json.dumps(value) if not isinstance(value, str) else f"'{value}'"


def is_filled_in(path):
    return path[-2:] in (("first_pass", "clusters"), ("student", "teacher"))


def blocks(tree):
    return {name: experiments.resolve_experiment(tree, name) for name in experiments.experiments(tree)}


def moved(before, after):
    return sorted(name for name in before if before[name] != after[name])


def every_leaf(tree, before):
    for section in ("recipes",):
        for path, value in leaves(tree[section]):
            if path[1] in ("like", "method", "start", "seeds", "teacher") or path[-1] == "kind" or is_filled_in(path):
                continue  # names, and what a declared experiment's teacher fills in
            words = f"{'.'.join((section, *path))}={as_word(other(value))}"
            yield [section, *path], moved(before, blocks(overridden(tree, words)))
    for place in (("starts",), ("experiments",), ("students",), *(("studies", key) for key in experiments.STUDIES)):
        for name, own in config.block(tree, *place).items():
            for path, value in leaves(own.get("change", {})):
                words = f"{'.'.join((*place, name, 'change', *path))}={as_word(other(value))}"
                yield [*place, name, "change", *path], moved(before, blocks(overridden(tree, words)))


def every_number(tree, before):
    for place in (("starts",), ("experiments",), ("students",), ("studies", "ablations")):
        for name in config.block(tree, *place):
            whole = {key: before[name][key] for key in ("seed", "augmentation", "training", "settings")}
            for path, value in leaves(whole):
                if path[-1] == "kind" or is_filled_in(path):
                    continue
                new = other(value)
                after = blocks(overridden(tree, f"++{'.'.join((*place, name, 'change', *path))}={as_word(new)}"))
                yield [name, *path], [*moved(before, after), config.block(after[name], *path) == new]


if __name__ == "__main__":
    tree = config.load(Path(sys.argv[1]))
    before = blocks(tree)
    print(json.dumps(list((every_leaf if sys.argv[2] == "leaves" else every_number)(tree, before))))
