"""Rows of two sides that were measured in one run on one machine, and the table they make."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Row:
    """A comparison in ``unit``; ``met`` is None where it could not be measured, and ``missing`` names what for."""

    work: str
    unit: str
    ours: float | None
    theirs: float | None
    ratio: float | None
    target: str
    met: bool | None
    missing: str = ""


def at_least(work: str, unit: str, ours: float, theirs: float, least: float) -> Row:
    """Returns the row of rates, ours being the better the larger."""
    ratio = ours / theirs
    return Row(work, unit, _short(ours), _short(theirs), _short(ratio), f">= {least:g} times", ratio >= least)


def at_most(work: str, unit: str, ours: float, theirs: float, most: float) -> Row:
    """Returns the row of costs, ours being the better the smaller."""
    ratio = ours / theirs
    return Row(work, unit, _short(ours), _short(theirs), _short(ratio), f"<= {most:g} times", ratio <= most)


def within(work: str, unit: str, ours: float, theirs: float | None, most: float) -> Row:
    """Returns the row of a cost that has a limit of its own."""
    return Row(work, unit, _short(ours), None if theirs is None else _short(theirs), None, f"<= {most:g}", ours <= most)


def shown(work: str, unit: str, ours: float, theirs: float | None = None) -> Row:
    """Returns the row of what is measured without a target."""
    ratio = _short(ours / theirs) if theirs else None
    return Row(work, unit, _short(ours), None if theirs is None else _short(theirs), ratio, "", None)


def unmeasured(work: str, unit: str, target: str, missing: str) -> Row:
    """Returns the row of what needs hardware that this machine lacks."""
    return Row(work, unit, None, None, None, target, None, missing)


def interleaved(
    sides: Mapping[str, Callable[[], Any]], *, repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Returns the seconds of each side's quickest run of ``repeats``; the sides take turns, after a warm-up."""
    for work in sides.values():
        work()
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(repeats):
        for name, work in sides.items():
            begun = clock()
            work()
            best[name] = min(best[name], clock() - begun)
    return best


def hardware() -> str:
    """Returns what the numbers were measured on."""
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    cpu = f"{os.cpu_count()} cores of {names[0] if names else platform.processor()}"
    return f"{cpu}, {torch.backends.cpu.get_cpu_capability()}, {', '.join(gpus) or 'no GPU'}, torch {torch.__version__}"


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.is_file() else []


def main(
    doc: str | None, cases: Mapping[str, Callable[[argparse.Namespace], Sequence[Row]]], *options: Mapping[str, Any]
) -> None:
    """Measures the cases that the command line asks for, and prints each as soon as it is measured.

    ``options`` are more arguments of the command line, each with its ``name``; cases are given what was said there.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=cases, help=f"of {', '.join(cases)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file")
    for option in options:
        parser.add_argument(option["name"], **{key: value for key, value in option.items() if key != "name"})
    given = parser.parse_args()
    print(hardware())
    print(f"{'work':62} {'ours':>9} {'theirs':>9} {'ratio':>7}  unit")
    rows: list[Row] = []
    for name in given.only or cases:
        for row in cases[name](given):
            rows.append(row)
            print(_line(row), flush=True)
            if given.json:
                tree = {"hardware": hardware(), "rows": [asdict(row) for row in rows]}
                given.json.write_text(json.dumps(tree, indent=1) + "\n")


def _line(row: Row) -> str:
    numbers = " ".join(f"{'-' if value is None else format(value, 'g'):>9}" for value in (row.ours, row.theirs))
    verdict = {True: "met", False: "MISS", None: f"needs {row.missing}" if row.missing else ""}[row.met]
    ratio = "-" if row.ratio is None else format(row.ratio, "g")
    return f"{row.work:62} {numbers} {ratio:>7}  {row.unit}; {row.target} {verdict}".rstrip(" ;")


def _short(value: float) -> float:
    return float(f"{value:.3g}")
