"""Resolves params.yaml: writes what each stage depends on.

reads    params.yaml
writes   artifacts/resolved: evaluation, references, and a file for each of data, experiments, searches, studies
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

OUT = Path("artifacts/resolved")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds nothing: it has no arguments."""


def run(given: argparse.Namespace) -> None:
    """Writes the whole block of everything that is declared."""
    import yaml

    from pipeline.config import load

    class Dumper(yaml.CSafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True  # what a stage depends on stands there in full, whoever shares it

    files = resolved(load())
    shutil.rmtree(OUT, ignore_errors=True)
    for name, content in files.items():
        file = OUT / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.dump(content, Dumper=Dumper, sort_keys=True))
    print(f"resolved: {len(files)} blocks of params.yaml in {OUT}")


def resolved(tree: dict[str, Any]) -> dict[str, Any]:
    """Returns the blocks by the names of their files.

    Raises:
        ValueError: for whatever is misspelt, unknown or missing.
    """
    from pipeline import experiments
    from pipeline.config import nearest

    sections = {"data", "recipes", *experiments.DEFAULT_RUN, "evaluation", "references", "resources", "studies"}
    studies = {"data", *experiments.STUDIES, "search", "searches"}
    for where, there, known in (("", tree, sections), ("studies.", tree["studies"], studies)):
        if unknown := sorted(there.keys() - known):
            raise ValueError(f"params.yaml: unknown key {where}{unknown[0]}{nearest(unknown[0], known)}")
    declared = experiments.experiments(tree)
    for name in tree["resources"]:
        experiments.resolve_resources(tree, name)
    for name, others in ((name, experiments.named(own, "against")) for name, own in declared.items()):
        for other in others:
            if other not in declared:
                where = f"experiment {name}: against {other}, which params.yaml does not declare"
                raise ValueError(where + nearest(other, declared))
    searches = {
        name: {
            "search": (search := experiments.resolve_search(tree, name)),
            "experiment": experiments.resolve_experiment(tree, search["experiment"]),
        }
        for name in tree["studies"]["searches"]
    }
    return {
        **{name: tree[name] for name in ("evaluation", "references")},
        **{f"data/{name}": experiments.resolve_data(tree, name) for name in experiments.data_sets(tree)},
        **{f"experiments/{name}": experiments.resolve_experiment(tree, name) for name in declared},
        **{f"studies/{name}": experiments.resolve_study(tree, name) for name in declared},
        **{f"searches/{name}": block for name, block in searches.items()},
    }
