"""``python -m pipeline.cleanup.current train|tune NAME``: the folders in which NAME would be trained, or searched, now.

In a process of its own, since a run folder is named by the code that is loaded too: exactly that of the one method.
Prints nothing where params.yaml has no such block.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

Kind = Literal["train", "tune"]


def current_folders(kind: Kind, name: str, root: Path) -> list[str]:
    """Returns the names of the folders in which an unfinished training, or search, would go on now.

    Raises:
        ValueError: saying why it can't be known now: its data or what it starts from is not there, say.
    """
    answer = subprocess.run(
        [sys.executable, "-m", "pipeline.cleanup.current", kind, name],
        check=False, cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    if answer.returncode:
        raise ValueError(answer.stderr.strip().rpartition("\n")[2])
    return answer.stdout.split()


def training_folders(tree: dict[str, Any], name: str) -> list[Path]:
    """Returns the run folders of all trials of an experiment, or of what a search has found.

    Those with other seeds than the declared ones are among them where they were begun.
    """
    from pipeline.config import load, overlaid
    from pipeline.experiments import experiments, resolve, resolve_experiment, resolve_search, trial, trials
    from pipeline.methods.registry import find
    from pipeline.training.experiment import describe

    search = name.removesuffix("_tuned")
    if name in experiments(tree) or "@" in name:
        others = [trial(tree, name, seed=seed, split=split) for seed, split in begun(name)]
        blocks = [resolve(tree, each) for each in (trial(tree, name), *trials(tree, name), *others)]
    elif search != name and search in tree["studies"]["searches"]:
        best = Path("artifacts/tune") / search / "best.yaml"
        experiment = resolve_experiment(tree, resolve_search(tree, search)["experiment"])
        blocks = [overlaid(experiment, load(best), str(best))]
    else:
        return []
    folders = []
    for block in blocks:
        try:
            data = Path("data/prepared") / block["data"]
            folders.append(describe(name, block, find(block["method"]), data, Path(".runs")).run_folder)
        except (ValueError, FileNotFoundError):
            if block is blocks[0]:
                raise
    return folders


def begun(name: str) -> set[tuple[int, int]]:
    """Returns the seeds and splits of an experiment's unfinished trainings that have saved something."""
    found = set()
    for file in Path(".runs").glob(f"{name}-*/epoch-*/meta.json"):
        experiment = json.loads(file.read_text())["experiment"]
        split = experiment["data"].rpartition("/")[2] if "/" in experiment["data"] else "1"
        found.add((experiment["seed"], int(split)))
    return found


def searching_folders(tree: dict[str, Any], name: str) -> list[Path]:
    """Returns the folder of a search."""
    from pipeline.config import parse
    from pipeline.experiments import resolve_experiment, resolve_search
    from pipeline.methods.registry import find
    from pipeline.tuning.plan import search_folder
    from pipeline.tuning.space import TuneParams

    if name not in tree["studies"]["searches"]:
        return []
    params = parse(TuneParams, resolve_search(tree, name), f"studies.searches.{name}")
    experiment = resolve_experiment(tree, params.experiment)
    data = Path("data/prepared") / params.data
    return [search_folder(name, params, experiment, find(experiment["method"]), data, Path(".runs"))]


def main() -> None:
    """Prints the names of the folders."""
    from pipeline.config import load

    kind, name = sys.argv[1:]
    try:
        found = (training_folders if kind == "train" else searching_folders)(load(), name)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(" ".join(str(error).split()))
    print("\n".join(dict.fromkeys(folder.name for folder in found)))


if __name__ == "__main__":
    main()
