import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kernels.py"
KEYS = {"work", "ours_s", "floor_s", "ratio", "added_gib", "target", "met"}


def run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=300)


def test_a_quick_run_writes_the_rows_it_was_asked_for(tmp_path):
    file = tmp_path / "kernels.json"
    chosen = ("sysu-10-trials", "dbscan-12936", "reranking-market")
    answer = run("--quick", "--only", *chosen, "--json", str(file))
    assert answer.returncode == 0, answer.stderr
    rows = json.loads(file.read_text())
    assert tuple(row["work"].split(" ")[0] for row in rows) == chosen
    for row in rows:
        assert set(row) == KEYS
        assert row["work"] in answer.stdout
        assert row["ours_s"] > 0
        assert isinstance(row["met"], bool)
    written = file.read_text()
    assert run("--quick", "--missing", "--only", *chosen, "--json", str(file)).returncode == 0
    assert file.read_text() == written


def test_rows_that_are_not_there_are_named_beside_those_that_are():
    answer = run("--only", "market", "lfw")
    assert answer.returncode == 2
    assert "no rows lfw; there are market-distances, market" in answer.stderr
