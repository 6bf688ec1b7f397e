from pathlib import Path

from pipeline.tracking.metrics import MetricsWriter


def test_epochs_that_were_never_written_are_written_once_and_said(tmp_path: Path) -> None:
    writer = MetricsWriter(str(tmp_path / "train.jsonl"))
    (tmp_path / "train.jsonl").touch()
    history = [{"epoch": epoch, "loss": 1.0 / epoch} for epoch in (1, 2, 3, 4)]
    for epoch in (1, 3):
        writer.log(epoch, {"loss": 1.0 / epoch})
    assert writer.complete(history) == [history[1], history[3]]
    assert writer.history() == [{"step": epoch, "loss": 1.0 / epoch} for epoch in (1, 2, 3, 4)]
    assert writer.complete(history) == []
