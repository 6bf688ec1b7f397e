"""Every command that README.md and docs/ show names what is there, and is run by a test; every link leads somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from pipeline import config
from tests.test_dvc_graph import STAGES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TREE = config.load(ROOT / "params.yaml")
ADDRESSES = {stage.id for stage in STAGES}
COMMAND = re.compile(r"(?:\$ )?(?:[A-Z_]+=\S+ )?((?:python|dvc|make) \S.*|\.ci/run)")
SHOWN_AS_EXAMPLES = {"cosine", "school_256x128", "office", "baseline_office"}
"""Names that a page makes up, and says so."""

RUN_BY = {
    "python -m stages.prepare": "tests/stages/test_prepare.py",
    "python -m stages.train": "tests/stages/test_train.py",
    "python -m stages.evaluate": "tests/stages/test_evaluate.py",
    "python -m stages.tables": "tests/stages/test_tables.py",
    "python -m stages.differences": "tests/stages/test_differences.py",
    "python -m stages.report": "tests/stages/test_report.py",
    "python -m pipeline.search": "tests/test_search.py",
    "python -m pipeline.export": "tests/test_export.py",
    "python -m pipeline.tracking.recorder": "tests/tracking/conftest.py",
    "python -m pipeline.synthetic_people.sheet": "tests/synthetic_people/test_world.py",
    "python -m pipeline.jobs.embed": "tests/jobs/test_embed.py",
    "python -m pipeline.jobs.neighbors": "tests/jobs/test_neighbors.py",
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
NOT_OURS = ("dvc checkout", "dvc exp apply", "dvc gc", "dvc config", "dvc status", "python -X importtime")
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
    words = shlex.split(command)
    match words:
        case ["make", target, *_]:
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        case ["python", "-m", module, *rest]:
            check_arguments(ROOT / f"{module.replace('.', '/')}.py", rest)
        case ["python", file, *rest]:
            check_arguments(ROOT / file, rest)
        case ["dvc", "repro", *addresses] | ["dvc", "exp", "run", *addresses]:
            check_addresses(addresses)


def check_arguments(file, words):
    options = [word for word in words if word.startswith("--")]
    assert [option for option in options if f'"{option}"' not in file.read_text()] == []
    if (
        file.parent.name == "stages"
        and words
        and not words[0].startswith("--")
        and file.stem in ("prepare", "train", "evaluate")
    ):
        blocks = TREE["prepare" if file.stem == "prepare" else "experiments"]
        assert words[0].partition("_seed")[0] in {*blocks, *SHOWN_AS_EXAMPLES}


def check_addresses(words):
    for before, word in zip(["", *words], words, strict=False):
        if before == "-S":
            config.block(TREE, *word.partition("=")[0].split("."))
        elif not word.startswith("-") and before != "-n":
            address = word if ":" in word else f"dvc.yaml:{word}"
            assert address in ADDRESSES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_links_to_is_there(page):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
