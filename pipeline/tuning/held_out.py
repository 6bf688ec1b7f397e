"""People of the training set that no trial trains on, and how well a method finds them again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.batches.loading import Loader
from pipeline.clustering.pseudo_labels import find_clusters
from pipeline.clustering.quality import NOISE
from pipeline.evaluation.labels import ALL_SEEN, SAME_CAMERA_REMOVED
from pipeline.evaluation.ranking import rank_embeddings
from pipeline.images import table as image_table
from pipeline.images.store import IMAGES_FILE, META_FILE, TABLE_FILE, ImageStore
from pipeline.training.embed import embed
from pipeline.training.method import Method
from pipeline.training.workers import Workers

IMAGES_AT_ONCE = 1024


def write_validation_store(store: ImageStore, folder: Path, *, share: float, seed: int) -> None:
    """Ensures that ``folder`` is a store of the training images alone, a share of the identities taken from training.

    These have the role ``gallery``. No image of the test set is in it, so nothing that reads it can see one. It is
    there whole or not at all.

    Raises:
        ValueError: when fewer than two identities are left on either side.
    """
    if folder.is_dir():
        return
    rows = np.flatnonzero(store.table["role"] == "train")
    table = store.table.iloc[rows].reset_index(drop=True)
    chosen = table["person_id"].isin(choose_identities(table["person_id"].to_numpy(), share=share, seed=seed))
    table["role"] = np.where(chosen, "gallery", "train")
    table["split"] = table["role"].map(image_table.SPLIT_OF_ROLE)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    table = table.astype(image_table.COLUMNS)
    image_table.write(table, partial / TABLE_FILE)
    images = np.lib.format.open_memmap(
        partial / IMAGES_FILE, mode="w+", dtype=np.uint8, shape=(len(rows), *store.images.shape[1:])
    )
    for first in range(0, len(rows), IMAGES_AT_ONCE):
        images[first : first + IMAGES_AT_ONCE] = store.images[rows[first : first + IMAGES_AT_ONCE]]
    images.flush()
    counts, fingerprint = asdict(image_table.count(table)), image_table.fingerprint(table)
    meta = {**store.meta, "name": f"{store.meta['name']}: validation", "counts": counts, "fingerprint": fingerprint}
    (partial / META_FILE).write_text(json.dumps(meta))
    partial.rename(folder)


def choose_identities(persons: np.ndarray, *, share: float, seed: int) -> np.ndarray:
    """Returns a ``share`` of the different ``persons``, drawn by ``seed``.

    Raises:
        ValueError: when fewer than two are chosen, or left.
    """
    there = np.unique(persons)
    num_chosen = round(share * len(there))
    if not 2 <= num_chosen <= len(there) - 2:
        raise ValueError(
            f"validation.share: {share} of {len(there)} identities are {num_chosen}; expected two, and two left"
        )
    return np.sort(np.random.default_rng(seed).choice(there, num_chosen, replace=False))


@dataclass(frozen=True)
class HeldOut:
    """Measures a method on the images of a validation store that are not trained on; can be sent to any process.

    ``rows`` of the store, with the ``persons``, ``cameras`` and ``is_infrared`` of each, all ``[V]``. ``clustering`` is
    the block that clusters them for the silhouette, the same for all trials whatever they cluster by; None for none.
    """

    rows: np.ndarray
    persons: np.ndarray
    cameras: np.ndarray
    is_infrared: np.ndarray
    batch_size: int
    clustering: Mapping[str, Any] | None

    def __call__(self, method: Method, loader: Loader, workers: Workers) -> dict[str, float]:
        """Returns ``val_mAP`` and ``val_rank1``, and ``val_silhouette`` where there is a clustering.

        The rows are copied since what Ray has sent cannot be written to, and torch wants that it could.
        """
        embeddings = embed(method.embedder(), loader, self.rows.copy(), batch_size=self.batch_size, workers=workers)
        if not workers.is_first:
            return {}
        values = embeddings.float().numpy()
        measured = self.find_again(values)
        if self.clustering is not None:
            measured["val_silhouette"] = silhouette(values, self.cameras, self.clustering)
        return measured

    def find_again(self, embeddings: np.ndarray) -> dict[str, float]:
        """Returns the scores of ranking all held-out images ``[V, D]`` for each of them.

        Images of the same person and camera are removed. With both modalities infrared images search visible ones.
        """
        is_query = self.is_infrared if self.is_infrared.any() else np.ones(len(self.rows), dtype=bool)
        query = np.flatnonzero(is_query)
        gallery = np.flatnonzero(~is_query) if not is_query.all() else query
        own_rows = np.arange(len(query)) if is_query.all() else np.full(len(query), -1)
        knows_cameras = bool((self.cameras != image_table.NO_CAMERA).all())
        ranking = rank_embeddings(
            embeddings[query],
            embeddings[gallery],
            query_ids=self.persons[query],
            gallery_ids=self.persons[gallery],
            query_cameras=self.cameras[query],
            gallery_cameras=self.cameras[gallery],
            metric="cosine",
            camera_rule=SAME_CAMERA_REMOVED if knows_cameras else ALL_SEEN,
            own_rows=own_rows,
        ).metrics()
        return {"val_mAP": ranking["mAP"], "val_rank1": ranking["rank1"]}


def held_out(store: ImageStore, *, batch_size: int, clustering: Mapping[str, Any] | None) -> HeldOut:
    """Returns how a method is measured on a validation store."""
    rows = np.flatnonzero(store.table["role"] == "gallery")
    persons = store.table["person_id"].to_numpy()[rows]
    return HeldOut(rows, persons, store.cameras[rows], store.is_infrared[rows], batch_size, clustering)


def silhouette(embeddings: np.ndarray, cameras: np.ndarray, clustering: Mapping[str, Any]) -> float:
    """Returns the mean silhouette, in [-1, 1], of the clusters of ``embeddings`` [V, D] in cosine distance.

    It reads no identity. An image in no cluster counts 0; where there are fewer than two clusters, or each
    image is one of its own, the answer is -1.
    Trap: clusters that follow cameras are compact too.

    Source: Rousseeuw, "Silhouettes" (1987).
    """
    from sklearn.metrics import silhouette_score  # sets environment variables

    labels = find_clusters(embeddings[None], cameras, **{**clustering, "local_weight": 0.0})
    is_noise = labels == NOISE
    if not 2 <= len(np.unique(labels[~is_noise])) < len(labels):
        return -1.0
    alone = np.where(is_noise, len(labels) + np.arange(len(labels)), labels)
    return float(silhouette_score(embeddings, alone, metric="cosine"))
