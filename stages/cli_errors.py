"""How every stage ends when its parameters, its data or its weights are not what they should be."""

import signal
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.outputs import why_not_written
from pipeline.training.stopping import STATUS, StoppedError

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (ROOT / "pipeline", ROOT / "stages")

EMBEDDING = """\
It was embedding images, so many at a time as training.embedding_batch of the recipe says in a training, and
evaluation.batch in an evaluation. Lower that number in params.yaml: embeddings stay the same but for rounding.
"""
TRAINING = """\
It was training. The groups of a batch take turns on a GPU, which holds one group at a time: with more GPUs each needs
as much. Less is needed, without any change of results, by recompute: true in the experiment's block of `resources` in
params.yaml (where it has none, in `default`): the same command goes on from the last epoch. And, in its recipe or its
`change`, by
  training.precision: bfloat16   half the room of float32 for maps (auto does so where the GPU can); rounds differently
  settings.batch                 more groups with fewer identities in each: changes results, for batch statistics and
                                 mining are those of a group
  settings.backbone, data        a smaller network, or images of fewer pixels (its block of `data`): another experiment
"""
OTHERS = """\
Without any change: end what else runs on this GPU (nvidia-smi), name another by CUDA_VISIBLE_DEVICES, or, if torch says
that much is reserved but unallocated, set PYTORCH_ALLOC_CONF=expandable_segments:True."""


@contextmanager
def exit_on_user_error(places: Iterable[Path] = ()) -> Iterator[None]:
    """Ends the process with status 1 and the message alone for an error that was raised by this project's code.

    Such a message says what to do. Errors out of other code keep their traceback, since nobody expected them; but for
    a GPU whose memory is full, and for outputs that can't be written, for which there is advice. ``places`` are paths
    of the command line, where outputs may be. Ctrl-C ends with status 130 and a sentence.
    """
    try:
        yield
    except StoppedError as stop:
        print(stop, file=sys.stderr)
        sys.exit(STATUS)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from where it was", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        said = what_to_say(error, places)
        if said is None:
            raise
        sys.exit(f"error: {said}")


def what_to_say(error: Exception, places: Iterable[Path]) -> str | None:
    """Returns the message for an error that is the user's to mend, or None for any other."""
    if isinstance(error, ValueError | ArithmeticError | FileNotFoundError) and is_from_this_project(error):
        return str(error)
    return memory_advice(error) if is_full_gpu(error) else why_not_written(error, places)


def is_from_this_project(error: BaseException) -> bool:
    """Returns whether the line that raised the error is one of this project's."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    raised_in = Path(frames[-1].f_code.co_filename).resolve()
    return any(raised_in.is_relative_to(folder) for folder in SOURCES)


def is_full_gpu(error: BaseException) -> bool:
    """Returns whether a GPU had no memory left; told by the name of torch's error, as importing torch takes seconds."""
    return any((kind.__module__, kind.__name__) == ("torch", "OutOfMemoryError") for kind in type(error).mro())


def memory_advice(error: BaseException) -> str:
    """Returns what torch said of a full GPU, and which keys of params.yaml ask for less of it."""
    files = {Path(frame.f_code.co_filename).name for frame, _ in traceback.walk_tb(error.__traceback__)}
    where = EMBEDDING if "embed.py" in files or "training/embed.py" in str(error.__cause__) else TRAINING
    return f"{error}\n{where}{OTHERS}"
