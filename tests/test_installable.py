"""``pip install .`` is enough for pipeline.evaluation, pipeline.neighbors and pipeline.clustering."""

import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
REST = ("pandas", "pydantic", "yaml", "ray", "mlflow", "dvc", "torchvision", "h5py")

USE = """
import importlib, importlib.util, json, pkgutil, sys

import numpy as np

missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
for package in ("evaluation", "neighbors", "clustering"):
    package = importlib.import_module("pipeline." + package)
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)

from pipeline.clustering.dbscan import dbscan
from pipeline.evaluation.ranking import rank_distances, rank_embeddings
from pipeline.evaluation.reranking import rerank
from pipeline.neighbors.jaccard import jaccard_distance

random = np.random.default_rng(0)
identities = np.repeat(np.arange(1, 9), 6)
features = random.standard_normal((8, 16))[identities - 1] + 0.6 * random.standard_normal((48, 16))
is_query = np.arange(48) % 6 == 0
query, gallery = features[is_query], features[~is_query]
people = {
    "query_ids": identities[is_query], "gallery_ids": identities[~is_query],
    "query_cameras": np.ones(8), "gallery_cameras": np.full(40, 2),
}
ranked = rank_embeddings(query, gallery, **people, metric="cosine").metrics()
final = rerank(query, gallery, metric="cosine", k1=8, k2=3, weight=0.3, convention="zhong")
reranked = rank_distances(final, **people).metrics()
distances = jaccard_distance(features, k1=8, k2=3, metric="cosine", convention="cluster_contrast")
clusters = dbscan(distances, eps=0.6, min_samples=3).tolist()
print(json.dumps({"missing": missing, "ranked": ranked, "reranked": reranked, "clusters": clusters}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the project, built without a network."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("pipeline", "stages"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", built, source], check=True, capture_output=True, timeout=300)
    return next(built.glob("*.whl"))


def use(python, *options):
    """Returns what a fresh interpreter says that imports, ranks, re-ranks and clusters."""
    done = subprocess.run(
        [python, *options, "-c", USE, *REST], check=False, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def needed(wheel):
    """Returns the distributions of this environment that pip would install with the wheel, theirs among them."""
    with zipfile.ZipFile(wheel) as packed:
        (metadata,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        asked = re.findall(r"^Requires-Dist: (.*)$", packed.read(metadata).decode(), flags=re.MULTILINE)
    waiting, found = [(Requirement(line), "") for line in asked], {}
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            if (requirement.name, wanted) not in found:
                found[requirement.name, wanted] = distribution(requirement.name)
                waiting += [(Requirement(line), wanted) for line in found[requirement.name, wanted].requires or ()]
    return list(found.values())


def test_the_three_packages_work_with_what_the_wheel_asks_for_and_nothing_else(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(packages)
    for one in needed(wheel):
        for top in {file.parts[0] for file in one.files} - {"..", "__pycache__"}:
            if not (packages / top).exists():
                (packages / top).symlink_to(one.locate_file(top))
    here, there = use(sys.executable), use(tmp_path / "venv" / "bin" / "python", "-I")
    assert here.pop("missing") == []
    assert there.pop("missing") == list(REST)
    assert there == here
    assert there["ranked"]["mAP"] < there["reranked"]["mAP"] == 1
    assert max(there["clusters"]) > 1


@pytest.mark.slow
def test_pip_installs_the_wheel_into_an_empty_environment(wheel, tmp_path):
    """The one test that needs a package index: pip resolves the requirements, with whatever build of torch it finds."""
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, timeout=3600)
    here, there = use(sys.executable), use(python, "-I")
    assert there.pop("missing") == list(REST)
    assert there == {name: value for name, value in here.items() if name != "missing"}
