"""``python -m pipeline.cleanup.current train|tune NAME``: the folder in which NAME would be trained, or searched, now.

In a process of its own, since a run folder is named by the code that is loaded too: exactly that of the one method.
Prints nothing where params.yaml has no such block.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

Kind = Literal["train", "tune"]


def current_folder(kind: Kind, name: str, root: Path) -> str:
    """Returns the name of the folder in which an unfinished training, or search, would go on now; "" for none.

    Raises:
        ValueError: saying why it can't be known now: its data or what it starts from is not there, say.
    """
    answer = subprocess.run(
        [sys.executable, "-m", "pipeline.cleanup.current", kind, name],
        check=False, cwd=root, capture_output=True, text=True,
    )  # fmt: skip
    if answer.returncode:
        raise ValueError(answer.stderr.strip().rpartition("\n")[2])
    return answer.stdout.strip()


def training_folder(tree: dict[str, Any], name: str) -> Path | None:
    """Returns the run folder of an experiment, of one with another seed, or of what a search has found."""
    from pipeline.config import SEEDED, block, load, seeded_block
    from pipeline.methods.registry import find
    from pipeline.training.experiment import describe

    search, seeded = name.removesuffix("_tuned"), SEEDED.fullmatch(name)
    if name in tree["experiments"] or (seeded and seeded[1] in tree["experiments"]):
        params = seeded_block(tree, "experiments", name)
    elif search != name and search in tree.get("tune", {}):
        from pipeline.tuning.overlay import overlaid

        best = Path("artifacts/tune") / search / "best.yaml"
        experiment = block(tree, "tune", search, "experiment")
        params = overlaid(block(tree, "experiments", experiment), load(best), str(best))
    else:
        return None
    data = Path("data/prepared") / block(params, "data")
    return describe(name, params, find(block(params, "method")), data, Path(".runs")).run_folder


def searching_folder(tree: dict[str, Any], name: str) -> Path | None:
    """Returns the folder of a search."""
    from pipeline.config import block, parse
    from pipeline.methods.registry import find
    from pipeline.tuning.plan import search_folder
    from pipeline.tuning.space import TuneParams

    if name not in tree.get("tune", {}):
        return None
    params = parse(TuneParams, tree["tune"][name], f"tune.{name}")
    experiment = block(tree, "experiments", params.experiment)
    data = Path("data/prepared") / block(experiment, "data")
    return search_folder(name, params, experiment, find(block(experiment, "method")), data, Path(".runs"))


def main() -> None:
    """Prints the name of the folder."""
    from pipeline.config import load

    kind, name = sys.argv[1:]
    try:
        found = (training_folder if kind == "train" else searching_folder)(load(), name)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(" ".join(str(error).split()))
    print(found.name if found else "")


if __name__ == "__main__":
    main()
