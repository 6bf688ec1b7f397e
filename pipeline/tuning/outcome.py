"""What became of a search: its trials, the best of them, and best.yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pipeline.tuning.plan import Plan

BEST, TRIALS, SUMMARY = "best.yaml", "trials.csv", "search.json"


@dataclass(frozen=True)
class Trial:
    """A trial that is over: its values by dotted names, and its score after each epoch that it saw.

    ``failure`` is why it broke off, or nothing.
    """

    number: int
    values: Mapping[str, Any]
    scores: Sequence[float]
    failure: str

    @property
    def score(self) -> float:
        """Its last score; NaN where there is none."""
        return self.scores[-1] if self.scores else float("nan")

    def ended(self, epochs: int) -> str:
        """Returns how it ended, of ``epochs`` that it could have had."""
        if self.failure:
            return f"failed: {self.failure}"
        return "finished" if len(self.scores) >= epochs else "stopped early"


@dataclass(frozen=True)
class Outcome:
    """A search that is over, its trials in the order in which they began; the first is the start."""

    plan: Plan
    trials: Sequence[Trial]

    @property
    def start(self) -> Trial:
        """The first trial."""
        return self.trials[0]

    @property
    def best(self) -> Trial:
        """The trial with the highest score after the last epoch; of equal ones the earliest.

        Raises:
            ValueError: when no trial came to the last epoch, with what became of them.
        """
        whole = [trial for trial in self.trials if trial.ended(self.plan.epochs) == "finished"]
        if not whole:
            raise ValueError(f"search {self.plan.name}: no trial came to the end:\n{self.table()}")
        return max(whole, key=lambda trial: (trial.score, -trial.number))

    @property
    def gain(self) -> float:
        """What the best trial's score is above the start's, which is never stopped; NaN where the start failed."""
        return self.best.score - self.start.score if not self.start.failure else float("nan")

    def rows(self) -> list[dict[str, Any]]:
        """Returns one row a trial, the best first, those with fewer epochs after those with more."""
        ranked = sorted(self.trials, key=lambda trial: (-len(trial.scores), -trial.score, trial.number))
        return [
            {
                "trial": trial.number,
                **trial.values,
                self.plan.criterion: trial.score,
                "epochs": len(trial.scores),
                "ended": trial.ended(self.plan.epochs),
            }
            for trial in ranked
        ]

    def table(self) -> str:
        """Returns the trials as text; columns are named by the last part of a parameter's name."""
        names = {name: name.rpartition(".")[2] for name in self.plan.space}
        frame = pd.DataFrame(self.rows()).rename(columns=names)
        return frame.to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.4g}")

    def report(self) -> str:
        """Returns the table, and what was found and gained."""
        plan, best = self.plan, self.best
        lines = [
            self.table(),
            f"best: trial {best.number}, {plan.criterion} {best.score:.4f} after {plan.epochs} epochs; "
            f"start: {self.start.score:.4f}; gain {self.gain:+.4f} on the validation split",
            f"found: {json.dumps(plan.found(best.values))}",
        ]
        return "\n".join(lines)

    def write(self, folder: Path) -> None:
        """Writes ``best.yaml``, what to lay over the experiment's block; ``trials.csv``; and ``search.json``."""
        plan, best = self.plan, self.best
        folder.mkdir(parents=True, exist_ok=True)
        head = (
            f"# search {plan.name}: trial {best.number} of {len(self.trials)}, {plan.criterion} {best.score:.4f} "
            f"(start {self.start.score:.4f}) after {plan.epochs} epochs\n"
        )
        (folder / BEST).write_text(head + yaml.safe_dump(plan.found(best.values), sort_keys=False))
        pd.DataFrame(self.rows()).to_csv(folder / TRIALS, index=False)
        summary = {
            "experiment": plan.params.experiment,
            "criterion": plan.criterion,
            "epochs": plan.epochs,
            "trials": len(self.trials),
            "best_trial": best.number,
            "best": best.score,
            "start": None if self.start.failure else self.start.score,
            "gain": None if self.start.failure else self.gain,
        }
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
