"""What params.yaml declares, resolved: data sets, experiments with their seeds and splits, searches, resources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pipeline.config import block, nearest, overlaid

DEFAULT_RUN = ("starts", "experiments", "students")
STUDIES = ("ablations", "papers", "from_file", "from_people")
NAME = re.compile(r"\w[\w.+@-]*", re.ASCII)
"""Names become folders, cells of tables and text of pages: none is a formula, a tag or a path."""
KEYS = {"recipe", "paper", "data", "teacher", "seeds", "against", "change", "short"}
"""Of a declared experiment; all but recipe, paper and data may be left out."""
ORDER = ("method", "data", "seed", "start", "augmentation", "training", "settings")
"""Of a resolved experiment, which has them all."""

Kind = Literal["train", "cluster", "evaluate"]


def data_sets(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the blocks of all data sets, as they stand there."""
    return {**block(dict(tree), "data"), **tree.get("studies", {}).get("data", {})}


def resolve_data(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns the whole block of a data set.

    Raises:
        ValueError: naming what is unknown, or what is like itself.
    """
    return whole(data_sets(tree), name, "data")


def resolve_recipe(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns the whole block of a recipe; one that others are made of need not have all of an experiment's keys.

    Raises:
        ValueError: naming what is unknown, or what is like itself.
    """
    return whole(block(dict(tree), "recipes"), name, "recipes")


def experiments(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the blocks of all declared experiments, those of the default run first."""
    studies = tree.get("studies", {})
    sections = [tree.get(key, {}) for key in DEFAULT_RUN] + [studies.get(key, {}) for key in STUDIES]
    found: dict[str, Any] = {}
    for section in sections:
        if twice := sorted(found.keys() & section.keys()):
            raise ValueError(f"params.yaml declares {', '.join(twice)} twice: give one of them another name")
        found |= section
    return found


def declaration(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns the block of a declared experiment, or one for ``RECIPE@DATA``; several recipes are joined by ``+``.

    Raises:
        ValueError: for an unknown name, and for a key that no experiment has.
    """
    _refuse_odd("experiment", name)
    there = experiments(tree)
    recipe, at, data = name.partition("@")
    if name in there:
        if not isinstance(there[name], Mapping):
            raise ValueError(f"experiment {name}: expected a block of keys, got {there[name]!r}")
        found = dict(there[name])
    elif at:
        found = {"recipe": recipe, "paper": "", "data": data}
    else:
        raise ValueError(f"params.yaml declares no experiment {name}, and it is no RECIPE@DATA{nearest(name, there)}")
    if unknown := sorted(found.keys() - KEYS):
        raise ValueError(f"experiment {name}: unknown key {unknown[0]}{nearest(unknown[0], KEYS)}")
    if missing := [key for key in ("recipe", "paper", "data") if key not in found]:
        raise ValueError(f"experiment {name}: missing {', '.join(missing)}")
    of_names = (("recipe", (str, list)), ("short", (str, list)), ("data", str), ("paper", str), ("teacher", str))
    for key, kinds in of_names:
        if key in found and not isinstance(found[key], kinds):
            raise ValueError(f"experiment {name}: {key}: expected a name, got {found[key]!r}")
    if type(seeds := found.get("seeds", 1)) is not int or seeds < 1:
        raise ValueError(f"experiment {name}: seeds: expected a whole number from 1, got {seeds!r}")
    return found


def named(block: Mapping[str, Any], key: str) -> list[str]:
    """Returns the names at a key that holds one, several as ``a+b`` or as a list, or none."""
    found = block.get(key) or []
    return found.split("+") if isinstance(found, str) else list(found)


def _made(tree: Mapping[str, Any], name: str, *, is_short: bool = False) -> dict[str, Any]:
    """Returns all that recipe and change say of an experiment, its own number of seeds, and its teacher.

    A recipe names a recipe for a teacher, which is taken for RECIPE@DATA; a declared experiment names an experiment.
    ``is_short``: as the default run trains it, with the recipes of ``short`` on top of its own.
    """
    declared = declaration(tree, name)
    made: dict[str, Any] = {}
    for recipe in named(declared, "recipe") + (named(declared, "short") if is_short else []):
        made = overlaid(made, resolve_recipe(tree, recipe), recipe, adds=True)
    made = overlaid(made, declared.get("change") or {}, f"experiment {name}: change")
    if "seeds" in declared:
        made["seeds"] = declared["seeds"]
    if "teacher" in declared or ("teacher" in made and "@" not in name):
        made["teacher"] = declared.get("teacher")
    elif "teacher" in made:
        made["teacher"] = f"{made['teacher']}@{declared['data']}"
    return made


@dataclass(frozen=True)
class Trial:
    """One training of an experiment: with one ``seed``, on one ``split`` of its data, from 1."""

    experiment: str
    seed: int
    split: int
    is_default: bool
    """Whether it is the one that the default run trains, whose folders bear the experiment's name alone."""
    num_splits: int = 1

    def folder(self, kind: Kind) -> Path:
        """Returns where its checkpoint, its clusters or its scores are."""
        if self.is_default:
            return Path("artifacts", kind, self.experiment)
        return Path("artifacts/runs", self.experiment, self.place, kind)

    @property
    def place(self) -> str:
        """Its seed and, where there are several, its split, as one word."""
        return f"seed{self.seed}" + (f"-split{self.split}" if self.num_splits > 1 else "")


def trial(
    tree: Mapping[str, Any], name: str, *, seed: int | None = None, split: int | None = None, apart: bool = False
) -> Trial:
    """Returns a trial of an experiment, by default that of its recipe's seed and of the first split.

    ``apart``: whether its folders are apart from those of the default run, as a study wants it.

    Raises:
        ValueError: for a split that its data does not have.
    """
    declared, own = declaration(tree, name), _made(tree, name).get("seed")
    if own is None:
        raise ValueError(f"experiment {name}: its recipe names no seed")
    splits = resolve_data(tree, declared["data"])["splits"]
    if split is not None and not 1 <= split <= splits:
        raise ValueError(f"{declared['data']} has the splits 1 to {splits}, got {split}")
    is_own = seed in (None, own) and split in (None, 1) and not apart
    is_default = is_own and any(name in tree.get(key, {}) for key in DEFAULT_RUN)
    return Trial(name, own if seed is None else seed, split or 1, is_default, splits)


def trials(tree: Mapping[str, Any], name: str) -> Iterator[Trial]:
    """Yields a trial for each of an experiment's seeds and splits, apart from the default run.

    It has as many seeds as it says, and as those say that are compared with it: else pairs would be missing.
    """
    first = trial(tree, name)
    compared_with = [other for other, own in experiments(tree).items() if name in named(own, "against")]
    seeds = max(_made(tree, each).get("seeds", 1) for each in (name, *compared_with))
    for seed in range(first.seed, first.seed + seeds):
        for split in range(1, first.num_splits + 1):
            yield trial(tree, name, seed=seed, split=split, apart=True)


def resolve(tree: Mapping[str, Any], of: Trial) -> dict[str, Any]:
    """Returns the whole block of a trial: its recipe with its change, on its split, with its seed.

    A student learns from the trial of its teacher that has the same seed and split; start weights are shared by all.
    The default run's trial is as ``short`` as its declaration says.

    Raises:
        ValueError: naming what is unknown or missing.
    """
    declared, made = declaration(tree, of.experiment), _made(tree, of.experiment, is_short=of.is_default)
    made["data"] = declared["data"] + (f"/{of.split}" if of.num_splits > 1 else "")
    made["seed"] = of.seed
    if isinstance(made.get("start"), str) and made["start"] in experiments(tree):
        made["start"] = trial(tree, made["start"]).folder("train").as_posix()
    teacher = teacher_of(tree, of)
    if teacher:
        paths = {
            "first_pass": {"clusters": teacher.folder("cluster").as_posix()},
            "student": {"teacher": teacher.folder("train").as_posix()},
        }
        made["settings"] = overlaid(made["settings"], paths, f"experiment {of.experiment}: settings")
    if missing := [key for key in ORDER if key not in made]:
        raise ValueError(f"experiment {of.experiment}: its recipe has no {', '.join(missing)}")
    for key in ("seeds", "teacher"):
        made.pop(key, None)
    if unknown := sorted(made.keys() - set(ORDER)):
        raise ValueError(f"experiment {of.experiment}: its recipe has an unknown key {', '.join(unknown)}")
    return {key: made[key] for key in ORDER}


def start_of(block: Mapping[str, Any]) -> str:
    """Returns the file, folder or word that a resolved experiment starts from."""
    start = block["start"]
    return str(start["file"] if isinstance(start, Mapping) else start)


def teacher_of(tree: Mapping[str, Any], of: Trial) -> Trial | None:
    """Returns the trial that a student learns from, None for all others."""
    name = _made(tree, of.experiment).get("teacher")
    return trial(tree, name, seed=of.seed, split=of.split, apart=not of.is_default) if name else None


def resolve_experiment(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns the whole block of an experiment, with its recipe's seed and on the first split."""
    return resolve(tree, trial(tree, name))


def num_epochs(tree: Mapping[str, Any], of: Trial) -> int:
    """Returns how many epochs a study trains an experiment, of which the default run may train fewer."""
    return int(resolve(tree, replace(of, is_default=False))["training"]["epochs"])


def resolve_study(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns what the results of an experiment's study depend on: the blocks of its chain, its seeds and splits."""
    chain: dict[str, Any] = {}
    link: str | None = name
    while link:
        chain[link] = resolve(tree, trial(tree, link, apart=True))
        link = _made(tree, link).get("teacher")
    return {"chain": chain, "trials": [each.place for each in trials(tree, name)]}


def resolve_search(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns the whole block of a search, on top of what all searches have in common.

    Raises:
        ValueError: naming what is unknown.
    """
    own = whole(block(dict(tree), "studies", "searches"), name, "studies.searches")
    own["experiment"] = block(own, "of", "experiment")
    own["data"] = own.pop("tried_on", declaration(tree, own["experiment"])["data"])
    own.pop("of")
    return overlaid(block(dict(tree), "studies", "search"), own, f"studies.searches.{name}", adds=True)


def resolve_resources(tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Returns how an experiment is run: the default, with what is said under its name or, else, its recipe's."""
    there, default = block(dict(tree), "resources"), block(dict(tree), "resources", "default")
    names = [name]
    if name in experiments(tree) or "@" in name:
        names += named(declaration(tree, name), "recipe")
    chosen = next((each for each in names if each in there), "default")
    return overlaid(default, whole(there, chosen, "resources"), f"resources.{chosen}")


def compared(tree: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns the pairs of experiments whose difference a study shows."""
    return [(name, other) for name, own in experiments(tree).items() for other in named(own, "against")]


def whole(blocks: Mapping[str, Any], name: str, where: str, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """Returns a block with the blocks that it is ``like`` below it, each laid over those before.

    Raises:
        ValueError: naming a block that is not there, or that is like itself.
    """
    _refuse_odd(where, name)
    if name not in blocks:
        raise ValueError(f"params.yaml has no {where}.{name}{nearest(name, blocks)}")
    if name in above:
        raise ValueError(f"params.yaml: {where}.{name} is like itself: {' -> '.join([*above, name])}")
    if not isinstance(blocks[name], Mapping):
        raise ValueError(f"params.yaml: {where}.{name}: expected a block of keys, got {blocks[name]!r}")
    own = dict(blocks[name])
    likes = named(own, "like")
    own.pop("like", None)
    made: dict[str, Any] = {}
    for other in likes:
        made = overlaid(made, whole(blocks, other, where, (*above, name)), f"{where}.{other}", adds=True)
    return overlaid(made, own, f"{where}.{name}", adds=True)


def _refuse_odd(where: str, name: str) -> None:
    if not NAME.fullmatch(str(name)):
        raise ValueError(f"{where}: a name is of letters, digits and _, then also . + @ and -; got {name!r}")
