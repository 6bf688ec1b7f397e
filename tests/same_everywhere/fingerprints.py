"""Prints digests of what pages call the same on every machine, as one JSON object.

A process of its own runs this for each processor: numpy, numba and torch choose their instructions when they are
imported. The inputs are draws of integers, exactly rounded.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from pipeline.clustering.dbscan import dbscan
from pipeline.clustering.pseudo_labels import find_clusters
from pipeline.config import load, parse
from pipeline.datasets.prepare import PrepareParams
from pipeline.datasets.resizing import resize
from pipeline.evaluation.query_expansion import expand_queries
from pipeline.evaluation.ranking import rank_distances, rank_embeddings
from pipeline.evaluation.reranking import rerank
from pipeline.experiments import resolve_data
from pipeline.neighbors.jaccard import jaccard_distance
from pipeline.neighbors.nearest import find_nearest
from pipeline.synthetic_people import world
from pipeline.synthetic_people.draws import Draws

PARAMS = Path(__file__).parents[2] / "params.yaml"


def digest(*parts):
    """Returns 16 hexadecimal digits of arrays, images and texts."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part).tobytes())
    return found.hexdigest()[:16]


def photographs():
    """Returns images of three worlds as rendered: every sixtieth shot, both modalities, among them junk; and masks."""
    images, masks = [], []
    for name in ("people", "people_elsewhere", "people_infrared"):
        params = parse(PrepareParams, resolve_data(load(PARAMS), name), name).people
        shots = world.shots(params)
        for shot in [*shots[::60], shots[-1]]:
            *pictures, mask = world.photograph(params, shot)
            images += [np.asarray(picture) for picture in pictures]
            masks.append(np.asarray(mask))
    return images, masks


def crowd(people=24, seen=8, size=48):
    """Returns features [N, D], identities and cameras of people, some of them hard to tell apart."""
    draws = Draws(7)
    ids, cameras = np.repeat(np.arange(1, people + 1), seen), np.tile(np.arange(seen) % 4, people)
    features = draws.normals(people, size)[ids - 1] + 1.5 * draws.normals(people * seen, size)
    features[1::40] = features[::40][: len(features[1::40])]  # copies are ties
    return features.astype(np.float32), ids, cameras


def fingerprints():
    """Returns a digest of each thing, by its name."""
    images, masks = photographs()
    features, ids, cameras = crowd()
    is_query = np.arange(len(ids)) % 8 == 0
    query, gallery = features[is_query], features[~is_query]
    people = {"query_ids": ids[is_query], "query_cameras": cameras[is_query]}
    people |= {"gallery_ids": ids[~is_query], "gallery_cameras": cameras[~is_query]}
    found = {"world": digest(*images), "masks": digest(*masks)}
    for resampling in ("bicubic", "lanczos"):
        found[f"packing {resampling}"] = digest(*(resize(image, 77, 33, resampling) for image in images))
    for metric in ("cosine", "euclidean"):
        ranking = rank_embeddings(query, gallery, **people, metric=metric)
        near = rerank(query, gallery, metric=metric, k1=12, k2=4, weight=0.3, convention="zhong")
        again = rank_distances(near, **people)
        nearest = find_nearest(features, 10, metric=metric)
        jaccard = jaccard_distance(features, k1=12, k2=4, metric=metric, convention="cluster_contrast")
        found |= {
            f"ranking {metric}": digest(ranking.average_precision, ranking.first_match, repr(ranking.metrics())),
            f"re-ranking {metric}": digest(near.rows(0, len(query)), again.average_precision, repr(again.metrics())),
            f"neighbours {metric}": digest(nearest.rows, nearest.distances),
            f"Jaccard {metric}": digest(jaccard.starts, jaccard.columns, jaccard.values),
            f"clusters {metric}": digest(dbscan(jaccard, eps=0.6, min_samples=4)),
        }
    views = np.stack([features, features[:, ::-1] + features])
    said = {"local_weight": 0.15, "k1": 12, "k2": 4, "eps": 0.6, "min_samples": 4}
    for centered in (False, True):
        labels = find_clusters(views, cameras, center_cameras=centered, **said)
        found[f"pseudo-labels {'less cameras' if centered else ''}".strip()] = digest(labels)
    found["query expansion"] = digest(expand_queries(query, gallery, neighbors=5, alpha=3.0))
    return found


if __name__ == "__main__":
    json.dump(fingerprints(), sys.stdout, indent=2)
