"""Every command that README.md and docs/ show names what is there, and is run by a test; every link leads somewhere."""

import argparse
import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from pipeline import config, experiments
from stages.__main__ import COMMANDS as REID
from tests.test_dvc_graph import STAGES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TREE = config.load(ROOT / "params.yaml")
ADDRESSES = {stage.id for stage in STAGES}
COMMAND = re.compile(r"(?:\$ )?(?:[A-Z_]+=\S+ )?((?:python|dvc|make|reid) \S.*|\.ci/run)")
EXAMPLES = {
    "cosine",
    "school_256x128",
    "office",
    "baseline_office",
    "mdpr_without_diversity",
    "bot_paper@school_256x128",
}
"""Names that a page makes up, and says so."""
PLACEHOLDER = re.compile(r"[A-Z]{2,}")

RUN_BY = {
    **{f"reid {name}": f"tests/stages/test_{name}.py" for name in REID},
    "reid train_tuned": "tests/stages/test_tune.py",
    "reid compare_tuned": "tests/stages/test_tune.py",
    "reid --help": "tests/stages/test_main.py",
    "python -m pipeline.tracking.recorder": "tests/tracking/conftest.py",
    "python benchmarks/kernels.py": "tests/benchmarks/test_kernels.py",
    "python benchmarks/scaling.py": "tests/benchmarks/test_scaling.py",
    "python benchmarks/": "Makefile",  # make bench
    "make": "Makefile",
    "dvc repro": ".ci/run",
    "dvc exp": "docs/reproducibility.md",  # whose commands tests/test_docs_commands.py runs
    "dvc metrics": "docs/reproducibility.md",
    "dvc params": "docs/reproducibility.md",
    "dvc plots": "docs/reproducibility.md",
    ".ci/run": ".ci/run",
}
"""What runs a command that begins so, at whatever size; the file has its last word in it."""
NOT_OURS = (
    "dvc checkout",
    "dvc exp apply",
    "dvc gc",
    "dvc config",
    "dvc status",
    "python -m stages train",
    "python -X importtime",
)
"""Named on a page which says when not to, and tools that it was measured or set by."""


def commands():
    """Yields page and command of every line and every span of code that is one."""
    for page in PAGES:
        text = page.read_text()
        fenced = re.compile(r"```(\w*)[^\n]*\n(.*?)```", flags=re.DOTALL)
        lines = [
            line.strip() for kind, body in fenced.findall(text) if kind in ("", "console") for line in body.splitlines()
        ]
        spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", fenced.sub("", text))]
        for found in filter(None, map(COMMAND.fullmatch, [*lines, *spans])):
            for command in found[1].partition(" #")[0].split(" && "):
                yield pytest.param(command.strip(), id=f"{page.stem}: {command.strip()}")


COMMANDS = list(dict.fromkeys(commands()))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_pages_is_run_by_a_test(command):
    if command.startswith(NOT_OURS):
        return
    begins = [start for start in RUN_BY if f"{command} ".startswith(start if start[-1] == "/" else f"{start} ")]
    assert begins, f"no test is known to run {command!r}"
    file = ROOT / RUN_BY[begins[0]]
    assert re.split(r"[ ./]", begins[0].removesuffix(".py").rstrip("/"))[-1] in file.read_text()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_pages_names_what_is_there(command):
    check(command)


def check(command):
    match shlex.split(command):
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        case ["reid", "--help"] | ["python", "-m", "stages", *_]:
            pass
        case ["reid", command, *rest]:
            check_reid(command, rest)
        case ["python", "-m", module, *rest]:
            check_options(ROOT / f"{module.replace('.', '/')}.py", rest)
        case ["python", file, *rest]:
            check_options(ROOT / file, rest)
        case ["dvc", "repro", *addresses] | ["dvc", "exp", "run", *addresses]:
            check_addresses(addresses)


def check_options(file, words):
    options = [word for word in words if word.startswith("--")]
    assert [option for option in options if f'"{option}"' not in file.read_text()] == []


def check_reid(command, words):
    """Ensures that a command takes such arguments, and that params.yaml has what they name."""
    assert command in REID
    parser = argparse.ArgumentParser(exit_on_error=False)
    importlib.import_module(f"stages.{command}").add_arguments(parser)
    if not words:
        return  # a command's name in a sentence
    given = parser.parse_args(words)
    for kind, name in names(given):
        if not is_made_up(name):
            resolve(kind, name, given)


def names(given):
    """Yields (what it is, name) of what the arguments name in params.yaml."""
    if not isinstance(getattr(given, "data", None), Path | None):
        yield "data", given.data
    for kind in ("experiment", "search"):
        if hasattr(given, kind):
            yield kind, getattr(given, kind)
    yield from (("experiment", row) for row in getattr(given, "rows", []))


def is_made_up(name):
    return bool(PLACEHOLDER.search(name)) or name in EXAMPLES or not EXAMPLES.isdisjoint(name.split("@"))


def resolve(kind, name, given):
    if kind == "data":
        experiments.resolve_data(TREE, name)
    elif kind == "search":
        experiments.resolve_search(TREE, name)
    else:
        split = getattr(given, "split", None)
        experiments.resolve(TREE, experiments.trial(TREE, name, seed=getattr(given, "seed", None), split=split))


def check_addresses(words):
    for before, word in zip(["", *words], words, strict=False):
        if before == "-S":
            check_override(word.partition("=")[0])
        elif not word.startswith("-") and before != "-n":
            assert is_made_up(word.partition("@")[2]) or is_stage(word)


def is_stage(word):
    """Returns whether DVC knows a stage, or a group of them, by these words."""
    address = word if ":" in word else f"dvc.yaml:{word}"
    return any(known == address or known.startswith(f"{address}@") for known in ADDRESSES)


def check_override(word):
    """Ensures that a key stands in params.yaml, or that one with ++ is a number of an experiment."""
    match word.removeprefix("++").split("."):
        case ["experiments", name, "change", *keys] if word.startswith("++"):
            config.block(experiments.resolve_experiment(TREE, name), *keys)
        case keys:
            config.block(TREE, *keys)


@pytest.mark.parametrize(
    "command",
    [
        "reid tarin mdpr",
        "reid train mdpr --sed 2",
        "reid train mpdr",
        "reid train mdpr@peple",
        "reid train smmd_regdb --split 11",
        "reid prepare mdpr",
        "reid tune people",
        "reid tables --show --check-tracking",
        "dvc repro trian@mdpr",
        "dvc repro studies/dvc.yaml:papers@mdpr_market1501",
        "dvc exp run -S '++experiments.mdpr.change.training.epoch=2'",
        "dvc exp run -S experiments.mdpr.change.training.epochs=2",
        "make tea",
    ],
)
def test_a_command_that_names_what_is_not_there_is_found(command):
    with pytest.raises((AssertionError, argparse.ArgumentError, SystemExit, ValueError)):
        check(command)


def test_the_tree_of_the_readme_is_that_of_the_project_and_its_lines_those_of_its_import_rules():
    tree = re.search(r"## The tree\n\n```\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)[1]
    top = re.findall(r"^([\w./]+)", tree, flags=re.MULTILINE)
    assert [name for name in top if not (ROOT / name).exists()] == []
    (library,) = re.findall(r"^pipeline/.*?\n((?:  .*\n)+)", tree, flags=re.MULTILINE)
    shown = [set(re.findall(r"^  ([\w.]+)/?", part, flags=re.MULTILINE)) for part in library.split("  ------\n")]
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
    layers = [{word.removeprefix("pipeline.") for word in layer.split(" | ")} for layer in rules[1:]]
    assert [{name.removesuffix(".py") for name in part} for part in shown] == layers
    there = {
        path.name for path in (ROOT / "pipeline").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert set().union(*shown) == there - {"__init__.py"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
