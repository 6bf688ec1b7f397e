"""Embeddings of the test images -> metrics, by a protocol and by the block ``evaluation`` of params.yaml."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from pipeline.config import Record
from pipeline.evaluation.counting import Distances
from pipeline.evaluation.postprocessing import unit_rows, whiten
from pipeline.evaluation.protocols import MARKET, NO_CAMERAS, Search, Trial, llcm, regdb, sysu_mm01, trials_of
from pipeline.evaluation.query_expansion import expand_queries
from pipeline.evaluation.ranking import AVERAGE_PRECISIONS, Ranking, make_space, rank_by
from pipeline.evaluation.reranking import rerank
from pipeline.evaluation.stamp import Reranking
from pipeline.evaluation.trials import distances_of, mean_metrics
from pipeline.evaluation.verification import verify
from pipeline.neighbors.cameras import center_cameras
from pipeline.progress import ProgressLine

FALSE_POSITIVE_RATES = {"1e-4": 1e-4, "1e-3": 1e-3, "1e-2": 1e-2}


class PostprocessingParams(Record):
    """Camera centring, and whitening to so many components of the gallery (null: none); see ``postprocessing.py``."""

    center_cameras: bool
    whitening: Annotated[int, Field(ge=1)] | None


class QueryExpansionParams(Record):
    """Each query becomes a mean of itself and ``neighbors`` gallery images; see ``expand_queries``."""

    neighbors: Annotated[int, Field(ge=1)]
    alpha: Annotated[float, Field(ge=0)]


class RerankingParams(Record):
    """k-reciprocal re-ranking; see ``rerank``."""

    k1: Annotated[int, Field(ge=1)]
    k2: Annotated[int, Field(ge=1)]
    weight: Annotated[float, Field(ge=0, le=1)]
    convention: Literal["zhong", "deep_person_reid"]


class SysuSearchParams(Record):
    """How SYSU-MM01 is searched; see ``protocols.sysu_mm01``."""

    name: Literal["all-search", "indoor-search"]
    shots: Literal[1, 10]
    draws: Literal["official", "seeded"]
    trials: Annotated[int, Field(ge=1)]


class RegdbSearchParams(Record):
    """How RegDB is searched; see ``protocols.regdb``."""

    name: Literal["V->T", "T->V"]


class LlcmSearchParams(Record):
    """How LLCM is searched; see ``protocols.llcm``."""

    name: Literal["V->I", "I->V"]
    trials: Annotated[int, Field(ge=1)]


class SearchesParams(Record):
    """Which searches are scored where a data set's protocol has several; each in a folder of its own."""

    sysu_mm01: list[SysuSearchParams]
    regdb: list[RegdbSearchParams]
    llcm: list[LlcmSearchParams]


class EvaluationParams(Record):
    """The block ``evaluation`` of params.yaml.

    ``distance`` is ``cosine`` or ``euclidean``; ``flip`` adds the mirrored image's embedding; ``batch`` counts images
    embedded at a time; ``average_precision`` is ``standard`` or ``trapezoid``; ``searches`` are the protocols of data
    seen in visible and infrared light. The other blocks are null where nothing
    of the kind is done; all but ``distance``, ``flip`` and ``batch`` are of the protocol, and said in the stamp.
    """

    distance: Literal["cosine", "euclidean"]
    flip: bool
    batch: Annotated[int, Field(ge=1)]
    average_precision: Literal["standard", "trapezoid"]
    postprocessing: PostprocessingParams | None
    query_expansion: QueryExpansionParams | None
    reranking: RerankingParams | None
    searches: SearchesParams

    def stamp_fields(self) -> dict[str, Any]:
        """Returns what a stamp's protocol says of it.

        Raises:
            ValueError: for query expansion with Euclidean distances.
        """
        if self.query_expansion and self.distance != "cosine":
            raise ValueError(
                "evaluation: query_expansion averages directions: expected distance: cosine, or null for it"
            )
        return {
            "average_precision": AVERAGE_PRECISIONS[self.average_precision],
            "postprocessing": _postprocessing_in_words(self.postprocessing),
            "query_expansion": _expansion_in_words(self.query_expansion),
            "reranking": Reranking(**self.reranking.model_dump()) if self.reranking else None,
        }


@dataclass(frozen=True)
class Comparison:
    """The ranking of each trial, and metrics: their means, with deviations where there are several trials.

    ``tpr_at_fpr_1e-4``, ``..1e-3`` and ``..1e-2`` are among the metrics wherever there are wrong pairs.
    """

    rankings: list[Ranking]
    metrics: dict[str, float]


def searches_of(protocol: str, params: EvaluationParams) -> dict[str, Search]:
    """Returns the searches by the protocol that a prepared data set names (``Listing.protocol``), by their folders.

    The folder of a protocol that knows one search only is "", that is, the experiment's own; the others are called as
    their search, as ``all-search``, ``all-search-multi-shot`` or ``V-to-T``.

    Raises:
        ValueError: for an unknown protocol, for none of its searches, and for two in one folder.
    """
    match protocol:
        case "market":
            return {"": MARKET}
        case "no_cameras":
            return {"": NO_CAMERAS}
        case "sysu_mm01" | "regdb" | "llcm":
            kinds: dict[str, Callable[..., Search]] = {"sysu_mm01": sysu_mm01, "regdb": regdb, "llcm": llcm}
            searches = [kinds[protocol](**search.model_dump()) for search in getattr(params.searches, protocol)]
            found = {_folder(search): search for search in searches}
            if not searches or len(found) < len(searches):
                names = ", ".join(map(_folder, searches)) or "none"
                raise ValueError(f"evaluation.searches.{protocol}: expected one search or more, each once; got {names}")
            return found
    raise ValueError(f"protocol: expected market, no_cameras, sysu_mm01, regdb or llcm, got {protocol!r}")


def _folder(search: Search) -> str:
    is_multi_shot = search.shots is not None and search.shots > 1
    return search.name.replace("->", "-to-") + ("-multi-shot" if is_multi_shot else "")


def compare(
    features: np.ndarray,
    table: pd.DataFrame,
    search: Search,
    params: EvaluationParams,
    draws: pd.DataFrame | None = None,
) -> Comparison:
    """Returns what ``search`` finds by features [N, D] of the rows of ``table``, on a GPU where there is one.

    ``draws`` are the galleries of the data set's makers, for a search that asks for them; see ``trials_of``.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trials = list(trials_of(search, table, draws))
    if params.postprocessing or params.query_expansion or params.reranking:
        each: Iterator[Distances] = (_distances(features, table, trial, params, device) for trial in trials)
    else:
        each = distances_of(features, trials, params.distance, device)
    rankings, rates = [], []
    for trial, distances in zip(trials, each, strict=True):
        total = len(trial.query) * len(trial.gallery)
        ranked, verified = (_Watched(distances, total, ProgressLine(what)) for what in ("ranking", "verification"))
        rankings.append(
            rank_by(
                ranked,
                trial.labels,
                average_precision=params.average_precision,
                with_identities=search.with_identities,
            )
        )
        if trial.labels.num_wrong.any():
            rates.append(verify(verified, trial.labels, false_positive_rates=tuple(FALSE_POSITIVE_RATES.values())))
    extra = {
        f"tpr_at_fpr_{name}": float(np.mean([run[rate] for run in rates]))
        for name, rate in FALSE_POSITIVE_RATES.items()
        if rates
    }
    return Comparison(rankings, mean_metrics(rankings) | extra)


def _distances(
    features: np.ndarray, table: pd.DataFrame, trial: Trial, params: EvaluationParams, device: str
) -> Distances:
    """Returns the distances of one trial after all that ``params`` ask for."""
    cameras = table["camera_id"].to_numpy()
    query, gallery = postprocess(
        *(features[rows] for rows in (trial.query, trial.gallery)),
        cameras=np.concatenate([cameras[trial.query], cameras[trial.gallery]]),
        params=params,
    )
    if params.query_expansion:
        expansion = params.query_expansion.model_dump()
        query = expand_queries(query, gallery, **expansion, device=device, progress=ProgressLine("query expansion"))
    if params.reranking is None:
        return make_space(query, gallery, params.distance, device)
    return rerank(
        query,
        gallery,
        **params.reranking.model_dump(),
        metric=params.distance,
        device=device,
        progress=ProgressLine("neighbours for re-ranking"),
    )


def postprocess(
    query: np.ndarray, gallery: np.ndarray, *, cameras: np.ndarray, params: EvaluationParams
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features of both sides after what ``params.postprocessing`` asks for; ``cameras`` of both [Q + G].

    Those compared by cosine are set to length 1 first. Cameras have one mean for queries and gallery; whitening is
    fitted on the gallery.
    """
    steps, split = params.postprocessing, len(query)
    if steps is None:
        return query, gallery
    features = np.concatenate([query, gallery])
    if params.distance == "cosine":
        features = unit_rows(features)
    if steps.center_cameras:
        features = center_cameras(features, cameras).astype(np.float32)
    if steps.whitening is not None:
        features = whiten(features, fitted_on=features[split:], components=steps.whitening)
    return features[:split], features[split:]


class _Watched:
    """Distances that say how many of ``total`` have been looked at."""

    def __init__(self, distances: Distances, total: int, say: Callable[[int, int], None]) -> None:
        self.margin, self.shape, self.exact = distances.margin, distances.shape, distances.exact
        self._rough, self._total, self._say, self._done = distances.rough, total, say, 0

    def rough(self, rows: slice, columns: slice) -> Tensor:
        """Returns a tile of rough distances."""
        self._done += (rows.stop - rows.start) * (columns.stop - columns.start)
        self._say(self._done, self._total)
        return self._rough(rows, columns)


def _postprocessing_in_words(params: PostprocessingParams | None) -> str:
    steps = ["cameras centred on all test images"] if params and params.center_cameras else []
    if params and params.whitening is not None:
        steps.append(f"whitened to {params.whitening} components of the gallery")
    return ", ".join(steps) or "none"


def _expansion_in_words(params: QueryExpansionParams | None) -> str:
    if params is None:
        return "none"
    kind = f"weighted by cosine^{params.alpha:g}" if params.alpha else "average"
    return f"{kind}, {params.neighbors} of all gallery images"
