"""The pages that say how to add something are followed to the letter in a copy of this project, and judged as it is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline import config, experiments
from tests.datasets import tiny_sets
from tests.docs_pages import Block, blocks, copy_project, declaration, follow, write

ROOT = Path(__file__).parents[1]
PAGES = sorted(page.name for page in (ROOT / "docs").glob("adding_a_*.md"))
TREE = config.load(ROOT / "params.yaml")
RULES = ("tests/test_architecture.py", "tests/methods/test_words.py", "tests/report/test_citations.py")
"""What holds for every module, method and data set."""


def run(folder: Path, *words: str) -> str:
    """Runs a Python module in a folder, and fails as it does."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "REID_TRACKING": "off"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def judge(folder: Path, *words: str) -> int:
    """Runs tests in a folder, and returns how many passed."""
    said = run(folder, "pytest", "-p", "no:cacheprovider", *words)
    return int(re.search(r"(\d+) passed", said)[1])


def is_tidy(folder: Path, files: list[str]) -> None:
    """Ensures that what a page shows is written as the rest of this project."""
    own = [file for file in files if file.endswith(".py")]
    run(folder, "ruff", "check", "--no-cache", *own)
    run(folder, "ruff", "format", "--no-cache", "--check", *own)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path / "project")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_names_in_its_table_the_files_that_its_blocks_are_for_and_no_others(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    named = re.findall(r"^\| `([^`]+)`", text, flags=re.MULTILINE)
    for block in [*blocks(page), *declaration(page)]:
        assert any(block.file.startswith(name) for name in named), f"{block.file} is not in the table of {page}"
        assert re.search(rf"`{re.escape(block.file)}`", text), f"{page} does not say that a block is for {block.file}"
    written = [block.file for block in [*blocks(page), *declaration(page)]]
    assert [name for name in named if not any(file.startswith(name) for file in written)] == []


def test_the_method_of_the_page_is_judged_by_the_rules_of_all_methods(project: Path) -> None:
    files = follow("adding_a_method.md", project)
    assert [file for file in files if "/cosine/" not in file] == ["pipeline/methods/registry.py"]
    is_tidy(project, files)
    judge(project, *RULES, "tests/methods/cosine", "tests/methods/test_registry.py")
    told = 'from pipeline.methods.words import about; print(about("cosine").sentence)'
    assert run_code(project, told).startswith("Softmax over cosines: ")


@pytest.mark.slow
def test_the_method_of_the_page_is_judged_by_the_suites_of_all_methods(project: Path) -> None:
    follow("adding_a_method.md", project)
    suites = ["tests/methods/test_groups_at_once.py", "tests/methods/test_recomputation.py"]
    suites += ["tests/training/test_stopping.py", "tests/training/test_step.py", "tests/test_export.py"]
    assert judge(project, *suites, "-k", "cosine") == 7


@pytest.mark.slow
@pytest.mark.ddp
def test_the_method_of_the_page_computes_the_same_on_any_number_of_workers(project: Path) -> None:
    follow("adding_a_method.md", project)
    assert judge(project, "tests/distributed/test_worker_invariance.py", "-k", "cosine") == 2


def test_a_method_without_an_example_or_without_words_is_found(project: Path) -> None:
    follow("adding_a_method.md", project)
    (project / "tests/methods/cosine/examples.py").unlink()
    (project / "pipeline/methods/cosine/about.py").unlink()
    with pytest.raises(AssertionError, match=r"methods/cosine/examples\.py: no example of cosine"):
        judge(project, "tests/methods/test_registry.py")
    with pytest.raises(AssertionError, match=r"No module named 'pipeline\.methods\.cosine\.about'"):
        judge(project, "tests/report/test_citations.py")


def test_a_method_that_imports_another_or_its_own_words_is_found(project: Path) -> None:
    follow("adding_a_method.md", project)
    file = project / "pipeline/methods/cosine/method.py"
    file.write_text(file.read_text() + "\nimport pipeline.methods.mdpr.fusion\nimport pipeline.methods.cosine.about\n")
    with pytest.raises(AssertionError, match=r"pipeline\.methods\.cosine\.method -> pipeline\.methods\.mdpr\.fusion"):
        judge(project, "tests/test_architecture.py", "-k", "contracts")
    with pytest.raises(AssertionError, match=r"method imports pipeline\.methods\.cosine\.about"):
        judge(project, "tests/methods/test_words.py")


def test_the_loss_of_the_page_is_judged_by_the_rules_of_losses_and_by_the_suites_of_its_user(project: Path) -> None:
    before = follow("adding_a_method.md", project)
    files = follow("adding_a_loss.md", project)
    assert len(files) == 3
    is_tidy(project, [*before, *files])
    judge(project, *RULES, "tests/losses/test_margin_softmax.py", "tests/methods/cosine")
    assert (
        judge(project, "tests/methods/test_groups_at_once.py", "tests/training/test_stopping.py", "-k", "cosine") == 2
    )


def test_a_loss_without_a_test_or_without_a_user_is_found(project: Path) -> None:
    follow("adding_a_method.md", project)
    loss, _, *_ = blocks("adding_a_loss.md")
    write(loss, project)
    with pytest.raises(AssertionError, match=r"(?s)tests/losses/test_margin_softmax\.py.*nobody uses.*margin_softmax"):
        judge(project, "tests/test_architecture.py", "-k", "loss")


def test_the_reader_of_the_page_is_judged_by_the_suite_of_all_readers(project: Path) -> None:
    files = follow("adding_a_data_set.md", project)
    assert files == ["pipeline/datasets/readers/school.py", "tests/datasets/readers/test_school.py"]
    is_tidy(project, files)
    judge(project, *RULES, "tests/datasets/readers/test_school.py", "tests/datasets/test_reader.py", "-k", "not cuhk03")
    told = 'from pipeline.report.citations import of_data; print(*of_data("school", is_generated=False))'
    assert run_code(project, told) == "nobody2026school\n"


def test_a_reader_that_is_not_tried_is_found(project: Path) -> None:
    follow("adding_a_data_set.md", project)
    (project / "tests/datasets/readers/test_school.py").unlink()
    with pytest.raises(AssertionError, match=r"tests/datasets/readers/test_school\.py: no SETS"):
        judge(project, "tests/datasets/test_reader.py", "-k", "every_published_data_set")


TRUE_POSITIVES = 'Metric("tpr_at_fpr_1e-3", "TPR at FPR 0.1 %", None)'


def test_the_metric_of_the_page_and_one_that_no_ranking_has_are_carried_through_to_all_tables(project: Path) -> None:
    files = follow("adding_a_metric.md", project)
    assert len(files) == 2
    assert f"`{TRUE_POSITIVES}`" in (ROOT / "docs" / "adding_a_metric.md").read_text()
    write(Block("diff", files[0], "", f" METRICS = (\n+    {TRUE_POSITIVES},\n"), project)
    is_tidy(project, files)
    judge(
        project, "tests/evaluation/test_rank15.py", "tests/evaluation/test_metrics.py", "tests/evaluation/test_stamp.py"
    )
    judge(project, "tests/tables", "tests/stages/test_tables.py")
    assert judge(project, "tests/test_every_metric.py", "-k", "rank15 or tpr_at_fpr or mINP") == 3


def run_code(folder: Path, code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, cwd=folder, capture_output=True, text=True)
    return done.stdout


def declare(page: str, project: Path) -> None:
    """Does in ``project`` what a page says, and adds to params.yaml what it declares."""
    follow(page, project)
    for block in declaration(page):
        write(block, project)


@pytest.mark.parametrize(
    ("page", "made"),
    [
        ("adding_a_method.md", "cosine@my_people"),
        ("adding_a_data_set.md", "data/school_256x128"),
        ("experiments.md", "studies/mdpr_without_diversity"),
    ],
)
def test_what_a_page_declares_can_be_read_and_resolved(page: str, made: str, project: Path) -> None:
    declare(page, project)
    section, _, name = made.rpartition("/")
    assert judge(project, "tests/test_params.py", "-k", f"{name.partition('@')[0]} or reader or anchor") >= 3
    run(project, "stages", "resolve")
    assert not section or (project / "artifacts" / "resolved" / f"{made}.yaml").is_file()


def test_every_page_that_declares_something_is_walked() -> None:
    assert [page for page in PAGES if declaration(page)] == ["adding_a_data_set.md", "adding_a_method.md"]


def make_tiny(project: Path, noise: Path) -> None:
    """Makes trainings of seconds of those that are ``small``, on noise in place of rendered people."""
    tree = config.load(project / "params.yaml")
    backbone = {"backbone": {"width": 0.125}}
    tiny = {"start": "none", "training": {"epochs": 1, "warmup_steps": 1}, "settings": backbone}
    tree["recipes"]["small"] = config.overlaid(tree["recipes"]["small"], tiny, "small", adds=True)
    tree["recipes"]["mdpr"] = config.overlaid(tree["recipes"]["mdpr"], {"training": {"epochs": 1}}, "mdpr", adds=True)
    tree["resources"] = {"default": tree["resources"]["default"]}
    (project / "params.yaml").write_text(yaml.safe_dump(tree, sort_keys=False))
    shutil.copytree(noise, project / "data" / "prepared" / "people")


def test_the_method_of_the_page_is_trained_and_scored_by_its_commands(project: Path, noise: Path) -> None:
    declare("adding_a_method.md", project)
    make_tiny(project, noise)
    run(project, "stages", "train", "cosine@people")
    assert "mAP" in run(project, "stages", "evaluate", "cosine@people")


def test_the_data_set_of_the_page_is_looked_at_and_packed_by_its_commands(project: Path) -> None:
    declare("adding_a_data_set.md", project)
    train = [f"train/000{person}-{camera}-00001" for person in (1, 2) for camera in (1, 2, 3)]
    query = [f"query/001{person}-1-00001" for person in (1, 2, 3)]
    gallery = [f"gallery/001{person}-{camera}-00001" for person in (1, 2, 3) for camera in (2, 3)]
    for name in (*train, *query, *gallery):
        tiny_sets.image(project / "data" / "raw" / "school" / f"{name}.jpg", (16, 32))
    assert "school_256x128: 0 errors" in run(project, "stages", "doctor", "school_256x128")
    assert "query: 3 images, 3 identities" in run(project, "stages", "prepare", "school_256x128")
    (project / "data" / "raw" / "school" / f"{query[0]}.jpg").unlink()
    with pytest.raises(AssertionError, match="numbers that are not the published ones"):
        run(project, "stages", "doctor", "school_256x128")


def test_the_ablation_of_the_page_is_one_block_that_is_compared_and_trained(project: Path, noise: Path) -> None:
    assert follow("experiments.md", project) == ["params.yaml"]
    tree = config.load(project / "params.yaml")
    name, against = next(pair for pair in experiments.compared(tree) if pair not in experiments.compared(TREE))
    changed, plain = (experiments.resolve(tree, experiments.trial(tree, each, apart=True)) for each in (name, against))
    assert changed == config.overlaid(plain, {"settings": {"diversity": False}}, against)
    assert len(list(experiments.trials(tree, name))) == 12
    make_tiny(project, noise)
    run(project, "stages", "train", name, "--seed", "4")
    assert (project / "artifacts/runs" / name / "seed4/train/history.csv").is_file()
