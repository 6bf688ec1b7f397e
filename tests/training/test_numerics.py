"""Numerics marks: those in results/ are of what the code computes now, and they tell a change from rounding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.config import load
from pipeline.experiments import resolve, trial
from pipeline.methods.registry import find
from pipeline.results import are_same
from pipeline.training.numerics import find_mark
from tests.noise import BASELINE, changed

ROOT = Path(__file__).parents[2]
TREE = load(ROOT / "params.yaml")
ROWS = {file.parent.name: json.loads(file.read_text()) for file in (ROOT / "results").glob("*/row.json")}
KNOWN = {name: mark for row in ROWS.values() for name, mark in row["marks"].items()}
OTHER_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}


@pytest.mark.parametrize("experiment", sorted(KNOWN))
def test_the_code_computes_what_the_results_in_git_were_made_by(experiment):
    # Where a change is meant to move it: `reid study` marks the row anew, and makes its results again.
    block = resolve(TREE, trial(TREE, experiment))
    assert are_same({experiment: find_mark(block, find(block["method"]))}, {experiment: KNOWN[experiment]})


def test_all_rows_know_one_mark_of_an_experiment():
    assert all(row["marks"][name] == KNOWN[name] for row in ROWS.values() for name in row["marks"])


def mark(block, **values):
    block = changed(block, training__epochs=6, **values)
    return {"it": find_mark(block, find(block["method"]))}


def test_a_mark_is_four_losses_that_depend_on_nothing_outside_its_block():
    one = mark(BASELINE)
    assert len(one["it"]) == 4
    assert one == mark(BASELINE)
    assert one == mark(BASELINE, start="pretrain", data="elsewhere", training__precision="float32")


@pytest.mark.parametrize(
    "values",
    [
        {"settings__smoothing": 0.1 + 1e-6},
        {"training__weight_decay": 6e-4},
        {"training__warmup_steps": 3},
        {"augmentation__flip": 0.4},
        {"seed": 4},
    ],
    ids=lambda values: next(iter(values)),
)
def test_whatever_moves_a_loss_moves_the_mark(values):
    assert not are_same(mark(BASELINE), mark(BASELINE, **values))


def test_a_mark_is_the_same_by_the_instructions_of_another_processor():
    code = (
        "import json; from pipeline.training.numerics import find_mark; from pipeline.methods.registry import find;"
        "from tests.noise import MDPR; print(json.dumps({'it': find_mark(MDPR, find('mdpr'))}))"
    )
    marks = []
    for instructions in ({}, OTHER_PROCESSOR):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | instructions
        printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        marks.append(json.loads(printed.stdout))
    assert are_same(*marks)
