import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stages.__main__ import COMMANDS, main, overview

ROOT = Path(__file__).parents[2]
SHARED = {"__init__", "__main__", "arguments", "cli_errors"}


def test_every_module_of_stages_is_a_command_or_what_they_share():
    there = {path.stem for path in (ROOT / "stages").glob("*.py")}
    assert there - SHARED == set(COMMANDS)
    assert len(set(COMMANDS)) == len(COMMANDS)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_without_a_command_it_says_which_there_are(words, capsys):
    main(words)
    said = capsys.readouterr().out
    assert said == overview() + "\n"
    for command in COMMANDS:
        assert f"\n  {command} " in said


def test_the_overview_fits_on_a_screen():
    lines = overview().splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80


def test_an_unknown_command_is_answered_with_the_nearest():
    with pytest.raises(SystemExit) as end:
        main(["trian", "mdpr"])
    assert end.value.code == "error: reid has no command trian; did you mean train?"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_a_command_reads_and_writes(command, capsys):
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: reid {command} ")
    for word in ("reads    ", "writes   "):
        assert f"\n{word}" in said


def test_the_program_reid_is_this_command_line():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"reid": f"{main.__module__}:{main.__name__}"}


def test_a_command_is_run_without_the_others(tmp_path, monkeypatch):
    code = (
        "import sys; from stages.__main__ import main\n"
        "try: main(['train', 'mdpr'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name.startswith('stages.')))"
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout == "['stages.__main__', 'stages.arguments', 'stages.cli_errors', 'stages.train']\n"
