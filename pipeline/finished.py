"""Outputs of long stages, kept until they are made anew: DVC removes an output before it runs the stage again.

So what a stage has made is lost when DVC ends before it took it: killed, say, while the stage went on. One is kept for
each output, in ``.runs/finished`` by its path. It takes no room of its own as long as the output, or DVC's cache, has
the same files: they are hard links.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

FINISHED = Path(".runs/finished")
MADE_OF = ".made_of"
BY_NAME = Path("artifacts/runs")
"""Where outputs lie that are none of DVC's: nobody removes these."""


def keep(output: Path, made_of: str) -> None:
    """Ensures that the files of ``output`` are kept with the digest of what they were made of, and no others of it."""
    if output.is_relative_to(BY_NAME):
        return
    kept = FINISHED / output
    draft = kept.with_name(f".{kept.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        shutil.copytree(output, draft, copy_function=_link)
        (draft / MADE_OF).write_text(made_of)
        shutil.rmtree(kept, ignore_errors=True)
        draft.rename(kept)
    except OSError as error:  # the disk is full, say: the output itself is there
        print(f"{output} is not kept beside DVC: {error}", file=sys.stderr)
        shutil.rmtree(draft, ignore_errors=True)


def put_back(output: Path, made_of: str) -> bool:
    """Ensures that ``output`` is what was kept of it, if it was made of the same; returns whether.

    It is not kept any more then: what turns out to be damaged is not put back a second time.
    """
    kept = FINISHED / output
    if not (kept / MADE_OF).is_file() or (kept / MADE_OF).read_text() != made_of:
        return False
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(kept, output, ignore=shutil.ignore_patterns(MADE_OF))
    shutil.rmtree(kept)
    return True


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
