"""dvc.yaml lists the code that each stage imports and nothing more, so that a change reruns what it must."""

import itertools
import re
from pathlib import Path

import grimp
import pytest
import yaml

from pipeline import config
from pipeline.datasets.reader import path_of
from pipeline.methods.registry import METHODS, find
from pipeline.tuning.overlay import overlaid
from stages.tables import with_seeds

ROOT = Path(__file__).parents[1]
TREE = config.load(ROOT / "params.yaml")
WHOLE = (
    "pipeline/datasets/validation",
    "pipeline/clustering",
    "pipeline/datasets/layouts",
    "pipeline/evaluation",
    "pipeline/neighbors",
    "pipeline/report",
    "pipeline/scoring",
    "pipeline/tables",
    "pipeline/training",
)
"""Packages that are listed as a folder, since no stage needs a part of them only."""
SEARCHES = ("stages.tune", "stages.train_tuned", "stages.gain")
"""One stage serves every method, and depends on all of them."""
OBSERVERS = ("pipeline.locking", "pipeline.tracking", "stages.cli_errors")
"""They see results and errors, or have a process wait for another, and never move a result."""


@pytest.fixture(scope="module")
def graph():
    return build_graph()


def build_graph():
    graph = grimp.build_graph("pipeline", "stages")
    for module in sorted(graph.modules):
        if module.startswith(OBSERVERS):
            graph.remove_module(module)
    return graph


def stages():
    """Yields (address, command's words, deps) of every stage of both files, foreach written out."""
    for file in ("dvc.yaml", "studies/dvc.yaml"):
        for name, stage in yaml.load((ROOT / file).read_text(), yaml.CSafeLoader)["stages"].items():
            for item, values in copies(stage):
                body = stage.get("do", stage)
                words = {"${item}": item, "${key}": item} | {"${item." + key + "}": values[key] for key in values}
                command, *deps = (replaced(text, words) for text in (body["cmd"], *body.get("deps", [])))
                address = f"{file}:{name}" + (f"@{item}" if item else "")
                yield pytest.param(command.split(), deps, id=address)


def replaced(text, words):
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def copies(stage):
    """Yields the name and the values of every copy of a stage, as ``foreach`` and ``matrix`` make them."""
    match stage:
        case {"matrix": {**axes}}:
            for values in itertools.product(*axes.values()):
                yield "-".join(values), dict(zip(axes, values, strict=True))
        case {"foreach": {**items}}:
            yield from items.items()
        case {"foreach": items}:
            yield from ((str(item), {}) for item in items)
        case _:
            yield "", {}


STAGES = list(stages())


def imported_files(graph, command):
    """Returns the files of ours that ``python -m stages.NAME ARGUMENT`` loads."""
    entry, argument = command[2], command[3] if len(command) > 3 else None
    roots = {entry}
    if entry == "stages.references":
        argument = TREE["references"][argument]["pretrained"]
    if entry == "stages.prepare":
        roots.add(path_of(TREE["prepare"][argument]["reader"]))
    if entry == "stages.cluster":
        argument = config.seeded_block(TREE, "cluster", argument)["experiment"]
    if entry in ("stages.train", "stages.cluster", "stages.evaluate", "stages.references"):
        roots.add(METHODS[config.seeded_block(TREE, "experiments", argument)["method"]].split(":")[0])
    if entry in SEARCHES:
        roots |= {method.split(":")[0] for method in METHODS.values()}
    modules = set(roots).union(*(graph.find_upstream_modules(root) for root in roots))
    files = set()
    for module in modules:
        path = Path(module.replace(".", "/"))
        if (ROOT / path).with_suffix(".py").is_file():
            whole = next((folder for folder in WHOLE if path.is_relative_to(folder)), None)
            files.add(whole or path.with_suffix(".py").as_posix())
    return files


@pytest.mark.parametrize(("command", "deps"), STAGES)
def test_a_stage_depends_on_the_code_it_imports_and_nothing_more(graph, command, deps):
    listed = {dep for dep in deps if dep.startswith(("pipeline", "stages"))}
    expected = imported_files(graph, command)
    missing, superfluous = sorted(expected - listed), sorted(listed - expected)
    assert not missing, f"add to deps: {missing}"
    assert not superfluous, f"remove from deps: {superfluous}"


@pytest.mark.parametrize(("command", "deps"), STAGES)
def test_a_stage_depends_on_the_data_and_the_start_that_its_parameters_name(command, deps):
    name = command[3] if len(command) > 3 else None
    deps = [dep if "${" not in dep else filled(dep) for dep in deps]
    if command[2] in ("stages.train", "stages.evaluate"):
        experiment = config.seeded_block(TREE, "experiments", name)
        assert f"data/prepared/{experiment['data']}" in deps
        if command[2] == "stages.evaluate":
            assert f"artifacts/train/{name}" in deps
        elif experiment["start"] not in ("none", "imagenet"):
            assert {experiment["start"], f"{experiment['start']}/model.safetensors"} & set(deps)
        if command[2] == "stages.train":
            kind = find(experiment["method"])
            settings = config.parse(kind.params_type, experiment["settings"], name)
            assert set(kind.sources(settings).values()) <= set(deps)
    if command[2] == "stages.cluster":
        params = config.seeded_block(TREE, "cluster", name)
        experiment = config.seeded_block(TREE, "experiments", params["experiment"])
        network = f"{experiment['start']}/model.safetensors"
        if params["weights"] == "trained":
            network = f"artifacts/train/{params['experiment']}"
        assert {f"data/prepared/{experiment['data']}", network} <= set(deps)
    if command[2] in SEARCHES:
        search = TREE["tune"][name]
        experiment = TREE["experiments"][search["experiment"]]
        assert f"data/prepared/{experiment['data']}" in deps
        assert {f"artifacts/tune/{name}", f"{experiment['start']}/model.safetensors"} & set(deps)
        block = overlaid(experiment, search["fidelity"], name) if command[2] == "stages.tune" else experiment
        kind = find(experiment["method"])
        settings = config.parse(kind.params_type, block["settings"], name)
        assert command[2] == "stages.gain" or set(kind.sources(settings).values()) <= set(deps)
    if command[2] in ("stages.tables", "stages.report"):
        options, names = command[3:], command[3:]
        if "--" in options:
            names = with_seeds(options[options.index("--") + 1 :], [2, 3])
        scored = {f"artifacts/evaluate/{name}" for name in names}
        assert scored == {dep for dep in deps if dep.startswith("artifacts/evaluate/")}


def filled(text):
    """Replaces ``${a.b}`` by the parameter ``a.b``, as DVC does."""
    return re.sub(r"\$\{([\w.]+)\}", lambda found: str(config.block(TREE, *found[1].split("."))), text)


@pytest.mark.parametrize(("command", "deps"), STAGES)
def test_no_stage_depends_on_the_number_of_workers_or_the_place_of_the_data(command, deps):
    assert not [dep for dep in deps if dep.startswith(("data/raw", "params.yaml"))]
