"""How every stage ends when its parameters, its data or its weights are not what they should be."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = (ROOT / "pipeline", ROOT / "stages")


@contextmanager
def told_plainly() -> Iterator[None]:
    """Ends the process with status 1 and the message alone for an error that was raised by this project's code.

    Such a message says what to do. Errors out of other code keep their traceback, since nobody expected them.
    """
    try:
        yield
    except (ValueError, ArithmeticError, FileNotFoundError) as error:
        if not is_ours(error):
            raise
        sys.exit(f"error: {error}")


def is_ours(error: BaseException) -> bool:
    """Returns whether the line that raised the error is one of this project's."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    raised_in = Path(frames[-1].f_code.co_filename).resolve()
    return any(raised_in.is_relative_to(folder) for folder in OURS)
