"""Protocols as data: which test images look for which others, what they do not see, and how galleries are drawn.

A protocol is applied to an image table, see ``Table``. ``trials.py`` ranks by it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np

from pipeline.evaluation.labels import ALL_SEEN, SAME_CAMERA_REMOVED, CameraRule, Labels

SHOTS = {None: "all", 1: "single-shot", 10: "multi-shot"}
"""What published tables call galleries with so many images of each identity and camera."""


class Table(Protocol):
    """Columns by name, all ``[N]``: a dict of arrays or lists, or a data frame.

    Of images: path, person_id, camera_id, modality, split and role. Of galleries that the makers of a data set drew:
    trial, path and place, all numbers from 1.
    """

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True)
class Side:
    """Which test images take part: those of the given role, modality and cameras; None admits all."""

    role: str | None = None
    modality: str | None = None
    cameras: tuple[int, ...] | None = None

    def rows(self, table: Table) -> np.ndarray:
        """Returns the rows of the table, int64, that take part."""
        takes_part = np.asarray(table["split"]) == "test"
        if self.role is not None:
            takes_part &= np.asarray(table["role"]) == self.role
        if self.modality is not None:
            takes_part &= np.asarray(table["modality"]) == self.modality
        if self.cameras is not None:
            takes_part &= np.isin(np.asarray(table["camera_id"]), self.cameras)
        return np.flatnonzero(takes_part)


@dataclass(frozen=True)
class Search:
    """A protocol.

    Attributes:
        name: what published tables call it, as ``standard``, ``all-search``, ``V->T``.
        query, gallery: the images that look, and those that are looked through or that galleries are drawn from.
        camera_rule: which gallery images a query does not see.
        with_identities: whether CMC counts identities, each at its nearest image, instead of images.
        shots: images of each identity and camera in a gallery, None for all of them.
        draws: how galleries are drawn: ``fixed`` (not at all), ``official`` (by the data set's makers, in a file) or
            ``seeded``, as the baseline of Ye et al. does.
        trials: how many galleries there are.
    """

    name: str
    query: Side
    gallery: Side
    camera_rule: CameraRule
    with_identities: bool = False
    shots: int | None = None
    draws: Literal["fixed", "official", "seeded"] = "fixed"
    trials: int = 1

    def stamp_fields(self) -> dict[str, Any]:
        """Returns what a stamp's protocol says of it: search, gallery, trials, shots and camera_rule."""
        sources = {
            "fixed": "fixed",
            "official": "drawn by the makers of the data set",
            "seeded": f"drawn with seeds 0 to {self.trials - 1}",
        }
        return {
            "search": self.name,
            "gallery": sources[self.draws],
            "trials": self.trials,
            "shots": SHOTS.get(self.shots, f"{self.shots} shots"),
            "camera_rule": self.camera_rule.text,
        }


MARKET = Search("standard", Side(role="query"), Side(role="gallery"), SAME_CAMERA_REMOVED)
"""Market-1501, DukeMTMC-reID, MSMT17, CUHK03-NP and SynergyReID; distractors, where there are any, stay."""

NO_CAMERAS = replace(MARKET, camera_rule=ALL_SEEN)
"""Data whose cameras are not known: a query sees all but itself."""

SYSU_RULE = CameraRule("query camera 3 does not see gallery camera 2", removes_same_camera=False, unseen=((3, 2),))
SYSU_GALLERIES = {"all-search": (1, 2, 4, 5), "indoor-search": (1, 2)}
REGDB_MODALITIES = {"V->T": ("visible", "infrared"), "T->V": ("infrared", "visible")}
LLCM_MODALITIES = {"V->I": ("visible", "infrared"), "I->V": ("infrared", "visible")}


def sysu_mm01(name: str, *, shots: int, draws: Literal["official", "seeded"], trials: int) -> Search:
    """Returns ``all-search`` or ``indoor-search`` of SYSU-MM01: infrared queries of cameras 3 and 6.

    Cameras 2 and 3 hang in one room, so camera 3 does not see camera 2 whoever it shows. Single shot is 1 image of each
    identity and camera, multi shot 10, or all where there are fewer; published numbers are means of 10 trials.

    Source: Wu et al., "RGB-Infrared Cross-Modality Person Re-Identification", ICCV 2017, and their evaluation code;
    ``seeded`` and the distinct identities of CMC: mangye16/Cross-Modal-Re-ID-baseline e817a26 (``data_manager.py``,
    ``eval_metrics.py``). Differs: there is no seeded multi shot; here it draws without replacement.
    """
    return Search(
        name,
        query=Side(modality="infrared", cameras=(3, 6)),
        gallery=Side(modality="visible", cameras=_known(SYSU_GALLERIES, name)),
        camera_rule=SYSU_RULE,
        with_identities=True,
        shots=shots,
        draws=draws,
        trials=trials,
    )


def regdb(name: str) -> Search:
    """Returns ``V->T`` or ``T->V`` of RegDB (thermal is infrared here) for one of its splits; nothing is removed.

    A published number is the mean of ten models, each with its own split. Source: as ``sysu_mm01``.
    """
    query, gallery = _known(REGDB_MODALITIES, name)
    return Search(name, Side(modality=query), Side(modality=gallery), ALL_SEEN)


def llcm(name: str, *, trials: int) -> Search:
    """Returns ``V->I`` or ``I->V`` of LLCM: all queries, one image of each identity and camera as gallery.

    Same identity and camera are removed; published numbers are means of 10 trials. Source: Zhang and Wang, "Diverse
    Embedding Expansion Network and Low-Light Cross-Modality Benchmark for Visible-Infrared Person Re-identification",
    CVPR 2023; ZYK100/LLCM 886e27c (``data_manager.py``, ``eval_metrics.py``). Differs: for ``V->I`` their ``test.py``
    exchanges the sides after the draw and ranks all visible images for each drawn infrared one; here, as in ``I->V``
    and in the paper's words, queries are whole and the gallery is drawn.
    """
    query, gallery = _known(LLCM_MODALITIES, name)
    return Search(
        name,
        Side(modality=query),
        Side(modality=gallery),
        SAME_CAMERA_REMOVED,
        with_identities=True,
        shots=1,
        draws="seeded",
        trials=trials,
    )


@dataclass(frozen=True)
class Trial:
    """Rows of the image table on both sides of one ranking, int64, and who they are."""

    query: np.ndarray
    gallery: np.ndarray
    labels: Labels


def trials_of(search: Search, table: Table, draws: Table | None = None) -> Iterator[Trial]:
    """Yields the trials of a protocol on a table of images.

    Args:
        draws: the galleries of the data set's makers, for ``official``: a gallery has the paths whose place is at most
            ``shots``.

    Raises:
        ValueError: when a side is empty, official draws are missing or do not fit the table, and as ``Labels``.
    """
    query, candidates = search.query.rows(table), search.gallery.rows(table)
    for side, rows in ((search.query, query), (search.gallery, candidates)):
        if not len(rows):
            raise ValueError(f"{search.name}: the table has no test images of {side}")
    persons, cameras = np.asarray(table["person_id"]), np.asarray(table["camera_id"])
    for gallery in _galleries(search, table, candidates, draws):
        own_rows = np.full(len(persons), -1)
        own_rows[gallery] = np.arange(len(gallery))
        sides = persons[query], persons[gallery], cameras[query], cameras[gallery]
        yield Trial(query, gallery, Labels(*sides, search.camera_rule, own_rows[query]))


def _known(table: dict[str, Any], name: str) -> Any:
    if name not in table:
        raise ValueError(f"search: expected one of {', '.join(table)}, got {name!r}")
    return table[name]


def _text(column: Any) -> np.ndarray:
    return np.asarray(column).astype(str)  # compared by sorting; Python's own strings would be by pairs


def _galleries(search: Search, table: Table, rows: np.ndarray, draws: Table | None) -> Iterator[np.ndarray]:
    """Yields the rows of each gallery, drawn from ``rows`` of the table."""
    if search.draws == "fixed":
        yield rows
        return
    _, persons = np.unique(np.asarray(table["person_id"])[rows], return_inverse=True)
    names, cameras = np.unique(np.asarray(table["camera_id"])[rows], return_inverse=True)
    groups, paths = persons * len(names) + cameras, _text(table["path"])[rows]
    match search.draws:
        case "seeded":
            order = np.lexsort((np.unique(paths, return_inverse=True)[1], groups))
            starts = np.flatnonzero(np.diff(groups[order])) + 1
            grouped = [group.tolist() for group in np.split(rows[order], starts)]
            for seed in range(search.trials):
                generator = random.Random(seed)
                drawn = [generator.sample(group, min(search.shots or len(group), len(group))) for group in grouped]
                yield np.concatenate(drawn)
        case "official":
            if draws is None:
                raise ValueError(
                    f"{search.name}: the data came without the galleries that its makers drew; prepare it with their "
                    "file, or draw galleries with seeds"
                )
            trials, places, drawn_paths = np.asarray(draws["trial"]), np.asarray(draws["place"]), _text(draws["path"])
            for trial in range(1, search.trials + 1):
                is_chosen = (trials == trial) & (places <= (search.shots or len(rows)))
                is_drawn = np.isin(paths, drawn_paths[is_chosen])
                if missing := len(np.setdiff1d(groups, groups[is_drawn])):
                    raise ValueError(
                        f"{search.name}: the makers' gallery {trial} has no image of {missing} of the pairs of "
                        "identity and camera in the table; is their file that of this data set?"
                    )
                yield rows[is_drawn]
