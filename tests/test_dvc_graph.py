"""What a stage imports lies inside what it lists, and no other paper's folder is among that."""

import re
from pathlib import Path

import grimp
import pytest
import yaml

from pipeline import config, experiments
from pipeline.methods.registry import METHODS

ROOT = Path(__file__).parents[1]
TREE = config.load(ROOT / "params.yaml")
OBSERVERS = (
    *("pipeline.finished", "pipeline.inputs", "pipeline.locking", "pipeline.outputs", "pipeline.progress"),
    "pipeline.tracking",
    "pipeline.experiments",
    *("pipeline.jobs.address", "pipeline.jobs.private", "pipeline.jobs.rendezvous"),
    *("pipeline.methods.registry", "stages.cli_errors", "stages.arguments"),
)
"""They see results and errors, or have processes wait and meet; what experiments.py says is in resolved files."""
PAPERS = {method.split(".")[2].partition(":")[0] for method in METHODS.values()}
IMPORTS = {
    "stages.study": ("stages.train", "stages.cluster", "stages.evaluate"),
}
"""What a command runs in a process of its own, or by name."""
SEARCHES = ("tune", "train_tuned", "compare_tuned")


@pytest.fixture(scope="module")
def graph():
    graph = grimp.build_graph("pipeline", "stages")
    for module in sorted(graph.modules):
        if module.startswith(OBSERVERS) or module.endswith(".about"):
            graph.remove_module(module)
    return graph


def filled(text, item):
    """Replaces ``${item.a}`` and ``${a.b}``, as DVC does."""

    def value(found):
        first, *rest = found[1].split(".")
        return str(config.block({"item": item.get("item"), "key": item.get("key")} | TREE, first, *rest))

    return re.sub(r"\$\{([\w.]+)\}", value, text)


def copies(stage):
    """Yields the items of a stage, as ``foreach`` makes them."""
    over = stage.get("foreach")
    if over is None:
        yield {}
    elif isinstance(over, list):
        yield from ({"item": item, "key": item} for item in over)
    else:
        yield from ({"key": key, "item": item} for key, item in config.block(TREE, *over[2:-1].split(".")).items())


def stages():
    """Yields (command's words, deps, outs) of every stage of both files, foreach written out."""
    for file in ("dvc.yaml", "studies/dvc.yaml"):
        for name, stage in yaml.load((ROOT / file).read_text(), yaml.CSafeLoader)["stages"].items():
            body = stage.get("do", stage)
            outs = [next(iter(out)) if isinstance(out, dict) else out for out in body["outs"]]
            for item in copies(stage):
                command, deps = filled(body["cmd"], item).split(), [filled(dep, item) for dep in body["deps"]]
                address = f"{file}:{name}" + (f"@{item['key']}" if item else "")
                yield pytest.param(command, deps, [filled(out, item) for out in outs], id=address)


STAGES = list(stages())


def paper_of(command):
    """Returns the folder of the method that a command loads, None where it loads none or all."""
    stage, *rest = command[3:]
    if stage == "references":
        return experiments.experiments(TREE)[TREE["references"]["pretrained"]]["paper"]
    if stage in SEARCHES:
        return TREE["studies"]["searches"][rest[0]]["of"]["paper"]
    if stage in ("train", "cluster", "evaluate", "study"):
        return experiments.experiments(TREE)[rest[0]]["paper"]
    return None


def imported(graph, command):
    """Returns the modules of ours that a command loads."""
    stage, paper = f"stages.{command[3]}", paper_of(command)
    roots = {stage, *IMPORTS.get(stage, ())}
    if paper:
        roots |= {method.partition(":")[0] for method in METHODS.values() if f".methods.{paper}." in method}
    return roots.union(*(graph.find_upstream_modules(root) for root in roots))


def is_inside(module, folders):
    path = module.replace(".", "/")
    return any(f"{path}.py" == dep or f"{path}/".startswith(f"{dep.removesuffix('.py')}/") for dep in folders)


@pytest.mark.parametrize(("command", "deps", "outs"), STAGES)
def test_what_a_stage_imports_lies_inside_what_it_lists(graph, command, deps, outs):
    code = [dep for dep in deps if dep.startswith(("pipeline", "stages"))]
    missing = sorted(
        module
        for module in imported(graph, command)
        if not is_inside(module, code) and not (ROOT / module.replace(".", "/") / "__init__.py").is_file()
    )
    assert not missing, f"add to deps: {missing}"


@pytest.mark.parametrize(("command", "deps", "outs"), STAGES)
def test_a_stage_lists_no_code_that_it_does_not_import(graph, command, deps, outs):
    modules = imported(graph, command)
    shared = ("pipeline/clustering", "pipeline/neighbors")  # what MSKD alone needs of the parts that all list
    for dep in deps:
        if dep.startswith(("pipeline", "stages")) and dep not in shared:
            inside = [module for module in modules if is_inside(module, [dep])]
            assert inside or dep.removesuffix(".py").replace("/", ".") in OBSERVERS, f"remove from deps: {dep}"


@pytest.mark.parametrize(("command", "deps", "outs"), STAGES)
def test_a_stage_that_loads_a_method_lists_its_folder_and_that_of_no_other_paper(command, deps, outs):
    listed = {dep.split("/")[2] for dep in deps if re.fullmatch(r"pipeline/methods/\w+", dep)}
    paper = paper_of(command)
    assert listed == ({paper} if paper else set())
    assert "pipeline/methods" not in deps or command[3] == "report"


@pytest.mark.parametrize(("command", "deps", "outs"), STAGES)
def test_a_stage_depends_on_the_data_the_start_and_the_teacher_that_its_parameters_name(command, deps, outs):
    stage, *rest = command[3:]
    if stage in ("train", "cluster", "evaluate", "study"):
        declared = experiments.experiments(TREE)[rest[0]]
        assert f"data/prepared/{declared['data']}" in deps
    if stage in ("train", "study"):
        start = experiments.start_of(experiments.resolve_experiment(TREE, rest[0]))
        assert start in ("none", "imagenet") or any(Path(start).is_relative_to(dep) for dep in deps)
    if stage == "train" and "teacher" in declared:
        assert {f"artifacts/train/{declared['teacher']}", f"artifacts/cluster/{declared['teacher']}"} <= set(deps)
    if stage == "train":
        assert outs == [f"artifacts/train/{rest[0]}"]
        assert f"artifacts/resolved/experiments/{rest[0]}.yaml" in deps
    if stage == "study":
        assert outs == [f"results/{rest[0]}"]
        assert f"artifacts/resolved/studies/{rest[0]}.yaml" in deps
    if stage in SEARCHES:
        search = TREE["studies"]["searches"][rest[0]]
        data = search["tried_on"] if stage == "tune" else search["of"]["data"]
        assert {f"data/prepared/{data}", f"artifacts/resolved/searches/{rest[0]}.yaml"} <= set(deps)


@pytest.mark.parametrize(("command", "deps", "outs"), STAGES)
def test_no_stage_but_resolve_and_the_tables_depends_on_the_whole_of_params_yaml(command, deps, outs):
    assert not [dep for dep in deps if dep.startswith("data/raw")]
    assert ("params.yaml" in deps) == (command[3] == "resolve" or command[3:] == ["tables", "--study"])


def test_every_declared_experiment_and_data_set_has_a_stage():
    commands = [" ".join(param.values[0][3:5]) for param in STAGES]
    for name in experiments.experiments(TREE):
        assert f"train {name}" in commands or f"study {name}" in commands
    for name in experiments.data_sets(TREE):
        assert f"prepare {name}" in commands
