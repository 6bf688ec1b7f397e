"""A project folder with a data set of noise, in which stages run as from the command line."""

import shutil
import sys

import pytest
import yaml

from pipeline.training.step import PLAIN
from tests.noise import BASELINE, EVALUATION, MDPR

PARAMS = {
    "prepare": {
        "market": {
            "reader": "market1501",
            "settings": {"distractors": False},
            "published_counts": True,
            "height": 32,
            "width": 16,
            "people": None,
        },
    },
    "experiments": {"pretrain": BASELINE, "mdpr": MDPR},
    "evaluation": EVALUATION,
    "references": {
        "noise": {
            "chance": {"columns": 8, "trials": 3, "seed": 1},
            "colour_stripes": {"stripes": 4, "bins": 2},
            "raw_pixels": {"height": 16, "width": 8},
            "pretrained": "pretrain",
        },
    },
    "resources": {
        "pretrain": {"workers": 0, "cpus_per_worker": 1, "retries": 0, **dict(PLAIN)},
        "mdpr": {"workers": 0, "cpus_per_worker": 1, "retries": 0, **dict(PLAIN)},
    },
}


class Project:
    """A folder with params.yaml and data; stages are called in it as the command line does."""

    def __init__(self, folder):
        self.folder, self.params = folder, PARAMS

    def write(self, **blocks):
        """Replaces blocks of params.yaml."""
        self.params = {**self.params, **blocks}
        (self.folder / "params.yaml").write_text(yaml.safe_dump(self.params))

    def run(self, stage, *arguments):
        """Runs a stage; returns nothing, as main does, or raises SystemExit."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", [stage.__name__, *arguments])
            stage.main()


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
def trained(tmp_path_factory, noise):
    """A project whose pretrain was trained; not to be changed but by adding folders."""
    from stages import train

    project = make_project(tmp_path_factory.mktemp("trained") / "project", noise)
    project.run(train, "pretrain")
    return project


@pytest.fixture
def refused():
    """Returns a function: the message with which a stage ends, with status 1 and without a traceback."""

    def run(project, stage, *arguments):
        with pytest.raises(SystemExit) as end:
            project.run(stage, *arguments)
        assert isinstance(end.value.code, str), "a message alone is status 1"
        return end.value.code

    return run
