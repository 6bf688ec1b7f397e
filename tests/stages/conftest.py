"""A project folder with a data set of noise, in which commands run as from the command line."""

import shutil

import pytest
import yaml

from pipeline.training.step import PLAIN
from stages.__main__ import main
from tests.noise import BASELINE, EVALUATION, MDPR
from tests.tuning.small import SEARCH

MARKET = {
    "reader": {"kind": "market1501", "distractors": False},
    "published_counts": True,
    "splits": 1,
    "height": 32,
    "width": 16,
    "resampling": "bicubic",
    "people": None,
}
PARAMS = {
    "data": {"market": MARKET, "noise": {"like": "market", "published_counts": False}},
    "recipes": {"baseline": BASELINE, "mdpr": MDPR},
    "starts": {"pretrain": {"recipe": "baseline", "paper": "baseline", "data": "noise"}},
    "experiments": {"mdpr": {"recipe": "mdpr", "paper": "mdpr", "data": "noise"}},
    "students": {},
    "evaluation": EVALUATION,
    "references": {
        "chance": {"columns": 8, "trials": 3, "seed": 1},
        "colour_stripes": {"stripes": 4, "bins": 2},
        "raw_pixels": {"height": 16, "width": 8},
        "pretrained": "pretrain",
    },
    "resources": {"default": {"workers": 0, "cpus_per_worker": 1, "retries": 0, **dict(PLAIN)}},
    "studies": {
        "data": {},
        "ablations": {},
        "papers": {},
        "from_file": {},
        "from_people": {},
        "search": {key: value for key, value in SEARCH.items() if key not in ("experiment", "data")},
        "searches": {},
    },
}


class Project:
    """A folder with params.yaml and data; commands are called in it as the command line does."""

    def __init__(self, folder):
        self.folder, self.params = folder, PARAMS

    def write(self, **blocks):
        """Replaces blocks of params.yaml."""
        self.params = {**self.params, **blocks}
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params))

    def add(self, section, **blocks):
        """Adds blocks to a section of params.yaml, or replaces them there."""
        self.write(**{section: {**self.params[section], **blocks}})

    def run(self, command, *words):
        """Runs a command; returns nothing, as main does, or raises SystemExit."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            main([command, *words])


def make_project(folder, noise):
    shutil.copytree(noise, folder / "data" / "prepared" / "noise")
    project = Project(folder)
    project.write()
    return project


@pytest.fixture
def fresh(tmp_path, noise):
    """A project of which nothing was run yet."""
    return make_project(tmp_path / "project", noise)


@pytest.fixture(scope="session")
def made(tmp_path_factory, noise):
    """A project whose pretrain was trained, for ``trained`` alone."""
    project = make_project(tmp_path_factory.mktemp("trained") / "project", noise)
    project.run("train", "pretrain")
    return project


@pytest.fixture
def trained(made):
    """A project whose pretrain was trained; not to be changed but by adding folders, and params.yaml."""
    made.write(**PARAMS)
    return made


@pytest.fixture
def refused():
    """Returns a function: the message with which a command ends, with status 1 and without a traceback."""

    def run(project, command, *words):
        with pytest.raises(SystemExit) as end:
            project.run(command, *words)
        assert isinstance(end.value.code, str), "a message alone is status 1"
        return end.value.code

    return run
