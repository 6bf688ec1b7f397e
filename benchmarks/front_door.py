"""How much an experiment's declaration costs: lines to read, seconds of DVC's own, files to touch for an addition.

``python benchmarks/front_door.py`` prints each beside its target. The seconds are of a copy of this project: a default
run whose stages do nothing but write a file into each output, and ``dvc repro`` once more with nothing to do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("dvc.yaml", "studies", "params.yaml", "pipeline", "stages", ".dvc/config", ".dvcignore")
PAGES = {
    "loss": ("adding_a_loss.md", 3),
    "metric": ("adding_a_metric.md", 2),
    "data set": ("adding_a_data_set.md", 2),
    "method": ("adding_a_method.md", 3),
    "ablation": ("experiments.md", 1),
}
"""The page that says how to add something, and how many files that may take: of a method its folder, a line of the
registry, and a block of params.yaml to train it by."""


def lines(*names: str) -> int:
    """Returns how many lines files have, 0 for one that is not there."""
    return sum((ROOT / name).read_text().count("\n") for name in names if (ROOT / name).is_file())


def files_to_touch(page: str) -> int:
    """Returns how many files a page's blocks are for, without tests; a method's own folder counts as one."""
    named = re.findall(r"^```\w+ (\S+\.\S+)", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE)
    own = {re.sub(r"(pipeline/methods/\w+)/.*", r"\1", file) for file in named if not file.startswith("tests/")}
    return len(own)


def with_dummies(stage: dict[str, Any]) -> dict[str, Any]:
    """Returns a stage whose command writes a file into each of its outputs, and does nothing else."""
    body = stage.get("do", stage)
    if "resolve" in body["cmd"]:
        return stage
    made = [
        f"touch {out}" if Path(out).suffix == ".json" else f"mkdir -p {out} && echo {out} > {out}/made"
        for out in body["outs"]
    ]
    dummy = {**body, "cmd": " && ".join(made)}
    return {**stage, "do": dummy} if "do" in stage else dummy


def copy_with_dummies(folder: Path) -> None:
    """Copies what DVC looks at to ``folder``, with stages that do nothing but make their outputs."""
    for name in COPIED:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, target)
    (folder / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n")
    graph = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    graph = {"stages": {name: with_dummies(stage) for name, stage in graph["stages"].items()}}
    (folder / "dvc.yaml").write_text(yaml.safe_dump(graph, sort_keys=False))


def seconds(folder: Path) -> float:
    """Returns how long ``dvc repro`` takes in a folder."""
    begun = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", "repro", "-q"]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def dvc_seconds() -> tuple[float, float]:
    """Returns the seconds of a default run of dummies, and of the quickest of three with nothing to do."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        copy_with_dummies(folder)
        return seconds(folder), min(seconds(folder) for _ in range(3))


def main() -> None:
    """Prints a row for each target."""
    whole, nothing = dvc_seconds()
    anchors = len(re.findall(r"(?<=[\s\[{:])[&*][A-Za-z_]\w*", (ROOT / "params.yaml").read_text()))
    rows: list[tuple[str, float, float]] = [
        ("dvc repro with nothing to do, seconds", nothing, 2),
        ("dvc.yaml and studies/dvc.yaml, lines", lines("dvc.yaml", "studies/dvc.yaml"), 500),
        ("dvc.lock, lines", lines("dvc.lock"), 2500),
        ("params.yaml, lines", lines("params.yaml"), 450),
        ("params.yaml, anchors and aliases", anchors, 0),
        ("what DVC adds to a default run, seconds", whole, 15),
        *((f"files to touch for: {what}", files_to_touch(page), most) for what, (page, most) in PAGES.items()),
    ]
    print(f"{'':44} {'now':>7} {'target':>7}")
    for name, value, target in rows:
        print(f"{name:44} {value:>7.4g} {target:>7.4g}{'' if value <= target else '  missed'}")


if __name__ == "__main__":
    main()
