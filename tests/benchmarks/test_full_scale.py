import json
import sys

import full_scale
import pytest


@pytest.mark.parametrize("method", full_scale.PAPERS)
def test_a_schedule_shrinks_with_its_epochs(method):
    whole, short = (full_scale.experiment(method, epochs, is_small=False) for epochs in (None, 10))
    share = 10 / whole["training"]["epochs"]
    assert short["training"]["epochs"] == 10
    assert short["training"]["warmup_steps"] == round(whole["training"]["warmup_steps"] * share)
    assert all(epoch <= 10 for epoch in short["training"]["decay"].get("milestones", []))
    assert short["settings"]["backbone"]["depth"] == 50
    assert short["start"] == "none"


def test_a_small_training_reports_its_costs_and_metrics_and_keeps_no_result(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(full_scale, "RESULTS", tmp_path / "results")
    work = tmp_path / "work"
    monkeypatch.setattr(sys, "argv", ["full_scale.py", "--small", "--method", "baseline", "--work", str(work)])
    full_scale.main()
    found = json.loads(capsys.readouterr().out)
    assert found["epochs"] == 2
    assert found["seconds_per_epoch"] > 0
    assert found["images_per_second"] > 0
    assert found["peak_memory_gb"] > 0
    assert 0 <= found["metrics"]["mAP"] <= 1
    assert found["hardware"]
    assert not (tmp_path / "results").exists()
