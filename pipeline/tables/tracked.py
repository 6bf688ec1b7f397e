"""Whether the numbers in the tables are those that the tracking store recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.stamp import Result, read_result
from pipeline.tables.results import REFERENCES, protocol_name
from pipeline.tracking.lineage import dvc_hash
from pipeline.tracking.lookup import Recorded

STAGES = ("evaluate", "references")


def find_disagreements(
    table: Sequence[Result], scores: Path, files: Sequence[Path], runs: Sequence[Recorded]
) -> Iterator[str]:
    """Yields in words every number of ``table`` that is not in ``files``, or not in the run that made the file.

    ``files`` are ``metrics.json`` files below ``scores``, both relative to the project. The run of one is that which
    made what DVC says is there; for stages that were run without DVC, the newest one of its name.
    """
    sources = {_key(result): (file, result) for file, result in ((file, read_result(file)) for file in files)}
    for result in table:
        if _key(result) not in sources:
            yield f"{_in_words(result)}: no metrics.json holds it"
            continue
        file, measured = sources[_key(result)]
        yield from (f"{_in_words(result)}: {text}" for text in _differing(result.metrics, measured.metrics, str(file)))
        run = find_run(file, scores, runs)
        if run is None:
            yield f"{_in_words(result)}: no run is recorded that made {file}"
            continue
        prefix = _prefix(file, scores)
        recorded = {name: run.metrics[prefix + name] for name in NAMES if prefix + name in run.metrics}
        yield from (
            f"{_in_words(result)}: {text}" for text in _differing(result.metrics, recorded, f"run {run.name!r}")
        )


def find_run(file: Path, scores: Path, runs: Sequence[Recorded]) -> Recorded | None:
    """Returns the run that made the ``metrics.json`` of one experiment, or None."""
    name = file.relative_to(scores).parts[0]
    reference, _, data = name.partition("@")
    wanted = f"references {data}" if reference in REFERENCES else f"evaluate {name}"
    named = [run for run in runs if run.name == wanted]
    out = dvc_hash(Path.cwd(), file.as_posix())
    made = [run for run in named if out in run.outs.values()]
    return next(iter([*made, *named]), None)


def _prefix(file: Path, scores: Path) -> str:
    """Returns what stands before a metric's name in the run: the search, and which reference it is."""
    name, *search = file.relative_to(scores).parent.parts
    reference = name.partition("@")[0]
    return "".join(f"{part}/" for part in search) + (f"{reference}_" if reference in REFERENCES else "")


def _differing(table: Mapping[str, float], other: Mapping[str, float], where: str) -> Iterator[str]:
    for name in NAMES:
        if name not in other:
            yield f"{name} is not in {where}"
        elif table[name] != other[name]:
            yield f"{name} is {table[name]} in the table and {other[name]} in {where}"


def _key(result: Result) -> tuple[str, str, str, int]:
    return (result.experiment, result.protocol.data, protocol_name(result), result.seed)


def _in_words(result: Result) -> str:
    return f"{result.experiment} on {result.protocol.data}, {result.protocol.label}, seed {result.seed}"
