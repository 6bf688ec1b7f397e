"""Says whether this machine is ready, or what is wrong with data.

reads    the environment; with DATA its raw images
writes   nothing; with DATA data/prepared/DATA.report.json

Ends with status 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version

from stages.arguments import PREPARED

PACKAGES = ("torch", "torchvision", "ray", "mlflow", "dvc", "numpy", "pandas", "scikit-learn", "numba")
LOWEST_FREE = 5e9  # bytes, for the default run and its caches


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the data set to look at."""
    parser.add_argument("data", nargs="?", help="a data set of params.yaml (default: look at the machine)")


def run(given: argparse.Namespace) -> None:
    """Looks at the data set, or at the machine."""
    sys.exit(0 if (look_at_data(given.data) if given.data else look_at_machine()) else 1)


def look_at_data(name: str) -> bool:
    """Says what is wrong with a data set, all of it at once, and returns whether nothing is."""
    from pipeline.config import load, parse
    from pipeline.datasets.prepare import PrepareParams, check, report_of, split_of
    from pipeline.experiments import resolve_data
    from pipeline.images.intact import check_pixels
    from pipeline.images.store import IMAGES_FILE, ImageStore

    params = parse(PrepareParams, resolve_data(load(), name), f"data.{name}")
    report = check(name, split_of(params, 1) if params.splits > 1 else params, PREPARED / name)
    print(f"{report}\nall of it: {report_of(PREPARED / name)}")
    for file in sorted((PREPARED / name).rglob(IMAGES_FILE)):
        check_pixels(file, ImageStore(file.parent).images, again=True)
        print(f"{file.parent}: every packed image is as it was packed")
    return not report.errors


def look_at_machine() -> bool:
    """Says what there is to train with, and returns whether nothing is missing."""
    missing = []
    print(f"python {sys.version.split()[0]}, {os.cpu_count()} cores")
    for package in PACKAGES:
        try:
            print(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if "torch" not in missing:
        import torch

        count = torch.cuda.device_count()
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(count))
        print(f"{count} GPUs: {names}" if count else "no GPU: trainings run on the cores")
    free = shutil.disk_usage(".").free
    print(f"{free / 1e9:.0f} GB free here")
    problems = [f"{package} is not installed: make setup" for package in missing]
    problems += [f"at least {LOWEST_FREE / 1e9:.0f} GB should be free here"] * (free < LOWEST_FREE)
    problems += [f"{name} is not installed" for name in ("git",) if shutil.which(name) is None]
    for problem in problems:
        print(f"missing: {problem}")
    return not problems
