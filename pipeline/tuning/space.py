"""What a search may change, and how it searches: a block ``studies.searches.NAME`` of params.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from pipeline.config import Record, parse

Number = int | float
KINDS = ("uniform", "log_uniform", "integer", "choice")


class Range(Record):
    """Numbers from ``low`` to ``high``, both among them; ``log_uniform`` draws the logarithm evenly."""

    kind: Literal["uniform", "log_uniform", "integer"]
    low: Number
    high: Number

    def holds(self, value: Any) -> bool:
        """Returns whether ``value`` is one that may be drawn."""
        return isinstance(value, int | float) and self.low <= value <= self.high

    def corners(self) -> list[Any]:
        """Returns the values furthest apart."""
        return [self.low, self.high]


class Choice(Record):
    """One of ``values``, none preferred."""

    kind: Literal["choice"]
    values: Annotated[list[Any], Field(min_length=1)]

    def holds(self, value: Any) -> bool:
        """Returns whether ``value`` is one that may be drawn."""
        return value in self.values

    def corners(self) -> list[Any]:
        """Returns all values."""
        return self.values


Domain = Range | Choice


class Halving(Record):
    """ASHA: at epochs ``grace``, ``grace * reduction``, ... a trial goes on if it is in the best 1 / ``reduction``.

    Of those that came so far by then, that is: who comes first always goes on (Li et al., MLSys 2020).
    """

    kind: Literal["asha"]
    grace: Annotated[int, Field(ge=1)]
    reduction: Annotated[int, Field(ge=2)]


class Median(Record):
    """From epoch ``grace`` on, a trial ends whose best score is below the median of the others' running means.

    At least ``others`` must have come as far (Golovin et al., "Google Vizier", KDD 2017).
    """

    kind: Literal["median"]
    grace: Annotated[int, Field(ge=1)]
    others: Annotated[int, Field(ge=1)]


class ValidationParams(Record):
    """How trials are judged: on a ``share`` of the training identities, drawn by ``seed``, that no trial trains on.

    ``criterion`` is ``mAP`` of finding these people again, or, for a method that clusters, ``silhouette``: how compact
    and apart the clusters of their images are, which asks for no identity.
    """

    share: Annotated[float, Field(gt=0, lt=1)]
    seed: int
    criterion: Literal["mAP", "silhouette"]


class TuneParams(Record):
    """A search for better values of an ``experiment``, on the people of ``data``, its own data set or another one.

    ``first`` is laid over the experiment's block and gives the first of ``trials``; ``fidelity`` is laid over every
    trial and stays out of what is found (fewer epochs, say). ``space`` has a domain in the place of each value that is
    searched: ``{kind: uniform, low: 0.1, high: 0.5}``, or ``log_uniform`` or ``integer``, or ``{kind: choice, values:
    []}``. ``sampler`` draws from it, by ``seed``; ``scheduler`` ends trials early that do badly.
    """

    experiment: str
    data: str
    first: dict[str, Any]
    fidelity: dict[str, Any]
    space: dict[str, Any]
    sampler: Literal["random", "optuna"]
    scheduler: Annotated[Halving | Median, Field(discriminator="kind")]
    trials: Annotated[int, Field(ge=1)]
    seed: int
    validation: ValidationParams


def read_space(block: Mapping[str, Any], where: str, prefix: str = "") -> dict[str, Domain]:
    """Returns the domains of a block by dotted names.

    Raises:
        ValueError: naming what is neither a domain nor a block of domains.
    """
    found: dict[str, Domain] = {}
    for key, value in block.items():
        place = f"{where}.{key}"
        if not isinstance(value, Mapping):
            raise ValueError(f"{place}: expected a domain, {{kind: one of {', '.join(KINDS)}, ...}}, got {value!r}")
        if value.get("kind") in KINDS:
            found[prefix + key] = _domain(value, place)
        else:
            found |= read_space(value, place, f"{prefix}{key}.")
    return found


def _domain(block: Mapping[str, Any], where: str) -> Domain:
    if block["kind"] == "choice":
        return parse(Choice, dict(block), where)
    domain = parse(Range, dict(block), where)
    lowest_log = domain.kind == "log_uniform" and domain.low <= 0
    if domain.low >= domain.high or lowest_log:
        positive = "0 < " if domain.kind == "log_uniform" else ""
        raise ValueError(f"{where}: expected {positive}low < high, got {domain.low} and {domain.high}")
    if domain.kind == "integer" and not (isinstance(domain.low, int) and isinstance(domain.high, int)):
        raise ValueError(f"{where}: expected integers, got {domain.low} and {domain.high}")
    return domain
