"""Looks at a folder of your images, and declares a training on it.

reads    a folder of images of persons
writes   data/raw/NAME (a link, or a table beside one), and in params.yaml the data set NAME and the experiment
         baseline_NAME, below studies
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from stages.arguments import PREPARED

RECIPE = "baseline"
HEIGHT, WIDTH = 128, 64
KINDS = ("persons", "cameras", "names", "table")
"""Those of ``pipeline.datasets.recognition``, which takes a second to import."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the folder, and what is to be said of it."""
    parser.add_argument("folder", type=Path, help="holds the images, or images.csv")
    parser.add_argument("--name", help="what to call the data set (default: as the folder)")
    parser.add_argument("--as", dest="kind", choices=KINDS, help="how it lies there, where that could be doubted")
    parser.add_argument("--look", action="store_true", help="say what it is, and write nothing")


def run(given: argparse.Namespace) -> None:
    """Says what a folder is taken for, and declares it."""
    from pipeline.config import PARAMS_FILE, add_block, load
    from pipeline.datasets.location import locate
    from pipeline.datasets.recognition import understand
    from pipeline.datasets.starting import data_block, describe, lay, list_laid, sized, unlay
    from pipeline.experiments import data_sets, experiments, resolve_recipe

    understood = understand(given.folder, given.kind)
    print(f"{given.folder}: " + "\n".join(describe(understood)))
    if given.look:
        return
    tree, name = load(), given.name or name_of(given.folder)
    experiment, place = f"{RECIPE}_{name}", locate(name)
    if taken := [each for each in (name, experiment) if each in {**data_sets(tree), **experiments(tree)}]:
        raise ValueError(f"params.yaml declares {taken[0]} already: choose another --name")
    block = data_block(understood, height=HEIGHT, width=WIDTH)
    before = PARAMS_FILE.read_text("utf-8")
    made = lay(understood, given.folder, place)
    try:
        listing = list_laid(place, block, name)
        change, said = sized(resolve_recipe(tree, RECIPE), listing)
        written = add_block(PARAMS_FILE, ["studies", "data"], name, block)
        trained = {"recipe": RECIPE, "paper": RECIPE, "data": name, "change": change}
        written += add_block(PARAMS_FILE, ["studies", "papers"], experiment, trained)
    except ValueError:
        unlay(made)
        PARAMS_FILE.write_text(before, "utf-8")
        raise
    for line in [*listing.notes, *said]:
        print(f"  {line}")
    for problem in listing.problems:
        print(f"  to mend before it can be prepared: {problem}")
    print(f"laid at {place}, packed into {PREPARED / name} by reid prepare. Added to params.yaml:\n{written}")
    commands = ("dvc repro starts", f"reid prepare {name}", f"reid train {experiment}", f"reid evaluate {experiment}")
    print("Go on with:\n  " + "\n  ".join(commands))


def name_of(folder: Path) -> str:
    """Returns a folder's name as a data set can have it."""
    return re.sub(r"\W+", "_", folder.resolve().name, flags=re.ASCII).strip("_").lower() or "my_images"
