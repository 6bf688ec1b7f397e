"""The command line: ``reid COMMAND``, which is ``python -m stages COMMAND``."""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import nearest
from stages.cli_errors import exit_on_user_error

COMMANDS = (
    "start",
    "prepare",
    "train",
    "cluster",
    "evaluate",
    "references",
    "tables",
    "report",
    "study",
    "protocol",
    "tune",
    "train_tuned",
    "compare_tuned",
    "search",
    "export",
    "embed",
    "neighbors",
    "resolve",
    "doctor",
    "tidy",
)
"""Each is a module beside this one, with ``add_arguments`` and ``run``; only the one that is asked for is run."""
INTRODUCTION = "Trains and compares methods for person re-identification (see docs/)."


def main(words: Sequence[str] | None = None) -> None:
    """Runs the command that the command line names."""
    words = sys.argv[1:] if words is None else list(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be no text
    if not words or words[0] in ("-h", "--help"):
        print(overview())
        return
    name, *rest = words
    if name not in COMMANDS:
        sys.exit(f"error: reid has no command {name}{nearest(name, COMMANDS)}")
    command = importlib.import_module(f"stages.{name}")
    title, _, more = (command.__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog=f"reid {name}", description=title, epilog=more, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_arguments(parser)
    given = parser.parse_args(rest)
    with exit_on_user_error([value for value in vars(given).values() if isinstance(value, Path)]):
        command.run(given)


def overview() -> str:
    """Returns what there is, a line for each command."""
    lines = [INTRODUCTION, "", "usage: reid COMMAND [--help] ...", ""]
    for name in COMMANDS:
        title = (importlib.import_module(f"stages.{name}").__doc__ or "").partition("\n")[0]
        lines.append(f"  {name:<13} {title}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
