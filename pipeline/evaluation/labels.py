"""Who is right for a query and what it does not see: identities, cameras and the rule between cameras."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pipeline.neighbors.arrays import as_ids, refuse_rows

JUNK_ID, DISTRACTOR_ID = -1, 0
NUMBERS_AT_ONCE = 1 << 20  # rows of a block times the most images of one identity


@dataclass(frozen=True)
class CameraRule:
    """Which gallery images a query does not see. Its own image is never among those it sees.

    Attributes:
        text: the rule in words, as stamps say it.
        removes_same_camera: whether images of the query's identity *and* camera are removed.
        unseen: pairs of a query camera and a gallery camera of which it sees nothing, whoever is on the image.
    """

    text: str
    removes_same_camera: bool
    unseen: tuple[tuple[int, int], ...] = ()


SAME_CAMERA_REMOVED = CameraRule("same identity and camera removed", removes_same_camera=True)
ALL_SEEN = CameraRule("none", removes_same_camera=False)


class Same(NamedTuple):
    """Gallery images of the queries' own identities, for a block of R queries: one query after the other."""

    starts: np.ndarray  # int64 [R + 1]: those of query r are starts[r]:starts[r + 1]
    rows: np.ndarray  # int64 [P], the query within the block
    columns: np.ndarray  # int64 [P], the gallery image; rising for each query
    is_match: np.ndarray  # bool [P], whether the rule leaves it to be found


class Labels:
    """Identities and cameras of both sides, checked, and what the camera rule makes of them.

    Attributes:
        identities: int32 ``[G]``, identities of the gallery, counted from 0 to ``num_identities``.
        num_matches: int64 ``[Q]``, gallery images that are right for each query.
        num_wrong: int64 ``[Q]``, gallery images of other identities that each query sees.
        view: int64 ``[Q]``, the row of ``unseen`` that holds for each query, or -1.
        unseen: bool ``[views, G]``, gallery images that are not seen.
    """

    def __init__(
        self,
        query_ids: Any,
        gallery_ids: Any,
        query_cameras: Any,
        gallery_cameras: Any,
        rule: CameraRule,
        own_rows: Any = None,
    ) -> None:
        """Checks everything.

        Args:
            query_ids, query_cameras: ``[Q]``, see ``as_ids``.
            gallery_ids, gallery_cameras: ``[G]``; numbers where those of the queries are, and texts where they are.
            own_rows: ``[Q]``, the gallery row of each query's own image, -1 where it is not in the gallery.

        Raises:
            ValueError: as ``as_ids``; for sizes that do not fit each other, rows that are not there, junk, distractors
                among the queries, and when no query has a match.
        """
        if not isinstance(rule, CameraRule):
            raise ValueError(
                "camera_rule: expected SAME_CAMERA_REMOVED, ALL_SEEN or another CameraRule of "
                f"pipeline.evaluation.labels, got {rule!r}"
            )
        query_ids, gallery_ids = _of_one_kind("ids", query_ids, gallery_ids)
        self.num_queries, self.num_gallery = len(query_ids), len(gallery_ids)
        self._cameras = _of_one_kind("cameras", query_cameras, gallery_cameras, self.num_queries, self.num_gallery)
        self._rule = rule
        for name, ids in (("query_ids", query_ids), ("gallery_ids", gallery_ids)):
            refuse_rows(ids == JUNK_ID, name, "are junk (-1): drop them when the data is read")
        refuse_rows(query_ids == DISTRACTOR_ID, "query_ids", "are distractors (0): they match nothing, drop them")
        self._own_rows = np.full(self.num_queries, -1)
        if own_rows is not None:
            self._own_rows = as_ids("own_rows", own_rows, self.num_queries)
            if self._own_rows.dtype.kind == "U":
                raise ValueError("own_rows: expected whole numbers, the rows of the gallery, got texts")
            is_there = (self._own_rows >= -1) & (self._own_rows < self.num_gallery)
            refuse_rows(~is_there, "own_rows", f"are no gallery rows: expected -1 to {self.num_gallery - 1}")
        self._by_identity = np.argsort(gallery_ids, kind="stable")
        ordered = gallery_ids[self._by_identity]
        numbers = np.cumsum(np.append(False, ordered[1:] != ordered[:-1]), dtype=np.int32)
        self.identities, self.num_identities = np.empty_like(numbers), int(numbers[-1]) + 1
        self.identities[self._by_identity] = numbers
        self._first = np.searchsorted(ordered, query_ids, side="left")
        self._num_same = np.searchsorted(ordered, query_ids, side="right") - self._first
        self._set_views()
        self._count()
        if not self.num_matches.any():
            raise ValueError(
                f"none of the {self.num_queries} queries has a match among the {self.num_gallery} gallery images "
                f"(camera rule: {rule.text}): check the split, the ids and the cameras"
            )

    def check_rows(self, num_queries: int, num_gallery: int) -> None:
        """Ensures that there are as many rows of embeddings as images.

        Raises:
            ValueError: naming the side.
        """
        sides = ("query", num_queries, self.num_queries), ("gallery", num_gallery, self.num_gallery)
        for side, there, wanted in sides:
            if there != wanted:
                raise ValueError(f"{side}: expected {wanted} rows, as there are {wanted} {side}_ids, got {there}")

    def blocks(self, block_size: int) -> Iterator[slice]:
        """Yields the queries in blocks of at most ``block_size``, less where one has very many of its identity."""
        if not isinstance(block_size, (int, np.integer)) or block_size < 1:
            raise ValueError(f"block_size: expected a whole number from 1, got {block_size!r}")
        start = 0
        while start < self.num_queries:
            widest = np.maximum.accumulate(self._num_same[start : start + block_size])
            fitting = np.count_nonzero(widest * np.arange(1, len(widest) + 1) <= NUMBERS_AT_ONCE)
            stop = start + max(1, int(fitting))
            yield slice(start, stop)
            start = stop

    def same(self, block: slice) -> Same:
        """Returns the gallery images of the identities of the ``block``."""
        counts = self._num_same[block]
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        rows = np.repeat(np.arange(len(counts)), counts)
        columns = self._by_identity[np.arange(starts[-1]) + np.repeat(self._first[block] - starts[:-1], counts)]
        queries = rows + block.start
        is_removed = columns == self._own_rows[queries]
        if self._rule.removes_same_camera:
            is_removed |= self._cameras[1][columns] == self._cameras[0][queries]
        return Same(starts, rows, columns, ~is_removed & self.is_seen(queries, columns))

    def is_seen(self, queries: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Returns, bool ``[P]``, which pairs of a query and a gallery image no rule of ``unseen`` hides."""
        views = self.view[queries]
        if not len(self.unseen):
            return np.ones(len(views), dtype=bool)
        return (views < 0) | ~self.unseen[views, columns]

    def _set_views(self) -> None:
        cameras = sorted({camera for camera, _ in self._rule.unseen})
        self.view = np.full(self.num_queries, -1)
        self.unseen = np.zeros((len(cameras), self.num_gallery), dtype=bool)
        for row, camera in enumerate(cameras):
            self.view[self._cameras[0] == camera] = row
            hidden = [other for one, other in self._rule.unseen if one == camera]
            self.unseen[row] = np.isin(self._cameras[1], hidden)

    def _count(self) -> None:
        self.num_matches = np.zeros(self.num_queries, dtype=np.int64)
        num_hidden = np.append(self.unseen.sum(axis=1), 0)
        self.num_wrong = self.num_gallery - num_hidden[self.view]
        for block in self.blocks(self.num_queries):
            same = self.same(block)
            size = block.stop - block.start
            self.num_matches[block] = np.bincount(same.rows[same.is_match], minlength=size)
            is_seen = self.is_seen(same.rows + block.start, same.columns)
            self.num_wrong[block] -= np.bincount(same.rows[is_seen], minlength=size)


def _of_one_kind(
    what: str, query: Any, gallery: Any, num_queries: int | None = None, num_gallery: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    query, gallery = as_ids(f"query_{what}", query, num_queries), as_ids(f"gallery_{what}", gallery, num_gallery)
    if query.dtype.kind != gallery.dtype.kind:
        raise ValueError(f"gallery_{what}: expected {query.dtype.name} as query_{what} are, got {gallery.dtype.name}")
    return query, gallery
