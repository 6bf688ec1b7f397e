"""Ranking, neighbours, Jaccard distances, clustering and re-ranking, each beside a floor measured in the same run.

``ratio`` is our time over the floor's: one ``torch.mm`` of the same size, or what the target names. Where the target is
against the public evaluation codes, a reference of our own in plain numpy stands in for them: it sorts every gallery
and walks down every query, as they do. ``added_gib`` is the highest memory above what the inputs take, of the process
or, on a GPU, of the device. Each row runs in a process of its own, at a small size first, so that nothing is compiled
on the clock.

``--json FILE`` keeps the rows in a file, each written as soon as it is measured; ``--missing`` measures those that the
file lacks. MSMT17's size and 100,000 images take minutes each; ``--list`` names the rows and ``--only`` picks some.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from kernel_cases.cases import cases
from kernel_cases.measuring import QUICK, Case, Row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also keep the rows in this file")
    parser.add_argument("--missing", action="store_true", help="measure only the rows that --json FILE lacks")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure only these rows")
    parser.add_argument("--list", action="store_true", help="name the rows and measure nothing")
    parser.add_argument("--quick", action="store_true", help=f"sizes {QUICK} times smaller: to see that it runs")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where products are made")
    given = parser.parse_args()
    chosen = [case for case in cases() if not given.only or case.name in given.only]
    if unknown := set(given.only or ()) - {case.name for case in chosen}:
        parser.error(f"no rows {', '.join(sorted(unknown))}; there are {', '.join(case.name for case in cases())}")
    if given.list:
        print("\n".join(case.name for case in chosen))
        return
    run(chosen, given.device, given.quick, given.json, given.missing)


def run(chosen: list[Case], device: str, is_quick: bool, file: Path | None, is_resumed: bool) -> None:
    rows = json.loads(file.read_text()) if file and file.is_file() else []
    print(f"{'work':66} {'ours':>9} {'floor':>9} {'ratio':>7} {'+ GiB':>6}      target", flush=True)
    for case in chosen:
        if is_resumed and any(row["work"].split(" ")[0] == case.name for row in rows):
            continue
        row = case.run(device, is_quick) if is_quick else in_own_process(case, device)
        print(
            f"{row.work:66} {row.ours_s:7.3f} s {row.floor_s:7.3f} s {row.ratio:7.3f} {row.added_gib:6.2f} "
            f"{'met ' if row.met else 'MISS'} {row.target}",
            flush=True,
        )
        if file:
            rows = [other for other in rows if other["work"].split(" ")[0] != case.name] + [asdict(row)]
            file.write_text(json.dumps(rows, indent=2) + "\n")


def in_own_process(case: Case, device: str) -> Row:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(case.run, device, False).result()


if __name__ == "__main__":
    main()
