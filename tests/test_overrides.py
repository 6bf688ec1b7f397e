"""``dvc exp run -S`` moves what it names, all of it and nothing else."""

import difflib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import config, experiments

ROOT = Path(__file__).parents[1]
TREE = config.load(ROOT / "params.yaml")


def answers(kind):
    done = subprocess.run(
        [sys.executable, "-m", "tests.overrides", str(ROOT / "params.yaml"), kind],
        check=False, capture_output=True, text=True, cwd=ROOT, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(tuple(path), moved) for path, moved in json.loads(done.stdout)]


def layers(name):
    """Returns (place, block) of all that an experiment is made of, each laid over those before."""

    def below(recipe):
        own = TREE["recipes"][recipe]
        for other in experiments.named(own, "like"):
            yield from below(other)
        yield ("recipes", recipe), own

    declared = experiments.experiments(TREE)[name]
    recipes = experiments.named(declared, "recipe") + experiments.named(declared, "short")
    made = [layer for recipe in recipes for layer in below(recipe)]
    return [*made, (("change", name), declared.get("change", {}))]


def replaces(block, path):
    """Returns whether a layer says another value for what stands at ``path`` below it."""
    here = block
    for depth, key in enumerate(path):
        if not isinstance(here, dict):
            return True
        if depth and "kind" in here and key != "kind":
            return True  # a block of its own kind: none of those below is left
        if key not in here:
            return False
        here = here[key]
    return True


def made_of(place, path):
    """Returns the experiments whose value at ``path`` comes from the layer at ``place``."""
    found = []
    for name in experiments.experiments(TREE):
        stack = layers(name)
        last = [index for index, (where, _) in enumerate(stack) if where == place]
        if last and not any(replaces(block, path) for _, block in stack[last[-1] + 1 :]):
            found.append(name)
    return sorted(found)


def test_a_leaf_of_a_recipe_moves_the_experiments_made_of_it_and_one_of_a_change_its_own_alone():
    seen = answers("leaves")
    assert len(seen) > 150
    for (section, *rest), moved in seen:
        if section == "recipes":
            assert moved == made_of(("recipes", rest[0]), rest[1:]), ".".join([section, *rest])
        else:
            assert moved == [rest[rest.index("change") - 1]], ".".join([section, *rest])


@pytest.mark.slow
def test_every_number_of_every_experiment_can_be_moved_for_that_one_alone():
    seen = answers("forced")
    assert len(seen) > 400
    for (name, *path), moved in seen:
        assert moved == [name, True], ".".join([name, *path])


def test_an_override_changes_its_own_line_and_no_other(tmp_path):
    before = (ROOT / "params.yaml").read_text().splitlines()
    (tmp_path / "params.yaml").write_text("\n".join(before) + "\n")
    script = "import sys; from dvc.utils.hydra import apply_overrides; apply_overrides('params.yaml', sys.argv[1:])"
    words = ["recipes.epochs_12.training.epochs=13", "++experiments.mdpr.change.training.epochs=20"]
    subprocess.run([sys.executable, "-c", script, *words], check=True, cwd=tmp_path, timeout=120)
    after = (tmp_path / "params.yaml").read_text().splitlines()
    tree = config.load(tmp_path / "params.yaml")
    assert experiments.resolve_experiment(tree, "mdpr")["training"]["epochs"] == 20
    assert experiments.resolve_experiment(tree, "baseline")["training"]["epochs"] == 13
    changed = [line for line in difflib.ndiff(before, after) if line[0] in "-+"]
    assert [
        line for line in changed if line.startswith("-") and "epochs_12: {" not in line and " mdpr:" not in line
    ] == []
    assert len(changed) <= 8
