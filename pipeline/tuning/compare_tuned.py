"""What a search gained: on the validation split that chose, and on the test set that did not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.tuning.outcome import SUMMARY


@dataclass(frozen=True)
class Gain:
    """The search's own summary, and the test scores before (the experiment as it stands) and after (by best.yaml)."""

    name: str
    search: Mapping[str, Any]
    before: Mapping[str, float]
    after: Mapping[str, float]

    @staticmethod
    def read(folder: Path, *, before: Mapping[str, float], after: Mapping[str, float]) -> Gain:
        """Returns the gain of the search whose out ``folder`` is."""
        return Gain(folder.name, json.loads((folder / SUMMARY).read_text()), before, after)

    def metrics(self) -> dict[str, float]:
        """Returns the gains by name, in [-1, 1]; that on the validation split only where the start did not fail."""
        scores = [name for name in self.before if name.rpartition("/")[2] in ("mAP", "mINP", "rank1")]
        gains = {f"test/{name}": self.after[name] - self.before[name] for name in scores}
        if self.search["gain"] is not None:
            gains[self.search["criterion"]] = self.search["gain"]
        return gains

    def rows(self) -> list[dict[str, Any]]:
        """Returns a row for the validation split and for each score of the test set, in percent."""
        first = {
            "score": f"{self.search['criterion']} (chose)",
            "before": self.search["start"],
            "after": self.search["best"],
            "gain": self.search["gain"],
        }
        rest = [
            {"score": name, "before": self.before[name[5:]], "after": self.after[name[5:]], "gain": gain}
            for name, gain in self.metrics().items()
            if name.startswith("test/")
        ]
        return [first, *rest]

    def text(self) -> str:
        """Returns the rows as a Markdown table."""
        frame = pd.DataFrame(self.rows())
        for column, form in (("before", "{:.1f}"), ("after", "{:.1f}"), ("gain", "{:+.1f}")):
            frame[column] = [form.format(100 * value) if pd.notna(value) else "-" for value in frame[column]]
        head = (
            f"Search {self.name} of {self.search['experiment']}: {self.search['trials']} trials of "
            f"{self.search['epochs']} epochs at most. Percent; before: the start on the validation split, the "
            "experiment as it stands on the test set."
        )
        return f"{head}\n\n{frame.to_markdown(index=False, disable_numparse=True, stralign='right')}\n"

    def write(self, folder: Path) -> None:
        """Writes ``gain.json`` and ``gain.md``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "gain.json").write_text(json.dumps(self.metrics(), indent=2) + "\n")
        (folder / "gain.md").write_text(self.text())
