import math

import numpy as np
import pytest
import torch

from pipeline.training.embed import embed
from pipeline.training.loop import NonFiniteLossError, TrainingParams
from pipeline.training.method import StepOutput
from tests.training.toy import Toy, make_data, make_trainer


class Exploding(Toy):
    steps = 0

    def forward(self, batch):
        output = super().forward(batch)
        Exploding.steps += 1
        factor = math.nan if Exploding.steps == 5 else 1.0
        output.parts["triplet"] = torch.tensor(factor)
        output.loss = output.loss * factor
        return output


def test_a_non_finite_loss_stops_before_the_update_and_names_method_epoch_and_part():
    Exploding.steps = 0
    trainer = make_trainer(method=Exploding(num_classes=6, groups=2, seed=3), groups=2)
    weights = {}

    def remember(optimizer, *_):
        weights.update({name: value.clone() for name, value in trainer.method.network.named_parameters()})

    trainer.optimizer.register_step_post_hook(remember)
    with pytest.raises(NonFiniteLossError, match=r"toy \(Exploding\), epoch 1, step 3: loss = nan, triplet = nan"):
        trainer.run()
    for name, value in trainer.method.network.named_parameters():
        assert torch.equal(value, weights[name]), name


class BrokenGradient(Toy):
    steps = 0

    def forward(self, batch):
        output = super().forward(batch)
        BrokenGradient.steps += 1
        if BrokenGradient.steps == 12:  # the last group of the first epoch
            output.loss = output.loss + (self.network[0].weight * 0).sum().sqrt() * 0
        return output


def test_a_non_finite_gradient_under_a_finite_loss_stops_before_the_update(tmp_path):
    BrokenGradient.steps = 0
    method = BrokenGradient(num_classes=6, groups=2, seed=3)
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, step 6: gradient_norm = nan\."):
        make_trainer(method=method, groups=2, run_folder=tmp_path).run()
    assert all(torch.isfinite(value).all() for value in method.state_dict().values())


def test_training_reports_every_epoch_and_lowers_the_loss():
    reported = []
    history = make_trainer(epochs=12, report=reported.append, learning_rate=1e-2).run()
    assert reported == history
    assert [row["epoch"] for row in history] == list(range(1, 13))
    assert history[-1]["identity"] < history[0]["identity"]
    assert {"loss", "identity", "pull", "learning_rate", "images_per_second"} <= history[0].keys()


def test_shared_tensors_reach_the_method_in_the_global_order():
    seen = []

    class Recorder(Toy):
        def forward(self, batch):
            output = super().forward(batch)
            return StepOutput(output.loss, output.parts, {"rows": batch.rows})

        def batches(self, labels, epoch):
            for rows in super().batches(labels, epoch):
                seen.append(rows.ravel())
                yield rows

        def after_step(self, labels, shared):
            assert np.array_equal(shared["rows"].numpy(), seen.pop(0))
            assert torch.equal(labels, torch.from_numpy(np.repeat(np.arange(6), 8))[shared["rows"]])

    make_trainer(method=Recorder(num_classes=6, groups=4, seed=3), epochs=1).run()
    assert not seen


def test_a_finished_run_trains_nothing_more(tmp_path):
    first = make_trainer(run_folder=tmp_path)
    history = first.run()
    again = make_trainer(run_folder=tmp_path)
    again._epoch = None
    assert again.run() == history
    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(first.method.state_dict().values(), again.method.state_dict().values(), strict=True)
    )


class Clustering(Toy):
    """Labels its images by itself: each epoch other ones, some of them noise."""

    supervision = "unsupervised"

    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.shown, self.judged = [], []

    def begin_epoch(self, epoch, embed_all, labels):
        self.shown.append(labels)
        return np.where(labels < 0, -1, np.arange(len(labels)) % (6 - epoch) - 1)

    def describe_labels(self, labels, is_infrared):
        assert labels.shape == is_infrared.shape
        return f"{labels.max() + 1} clusters"

    @staticmethod
    def label_quality(labels, before, identities, cameras):
        kept = -1.0 if before is None else float((labels == before).mean())
        return {"clusters": labels.max() + 1.0, "kept": kept, "identities": identities.max() + 1.0}


def test_an_unsupervised_method_is_shown_which_images_to_train_on_and_no_identity():
    trainer = make_trainer(method=Clustering(num_classes=6, groups=2, seed=3), groups=2, epochs=2)
    trainer.identities = np.where(np.arange(48) < 40, np.arange(48) // 8, -1)
    trainer.__post_init__()
    history = trainer.run()
    assert all(np.array_equal(labels, np.where(np.arange(48) < 40, 0, -1)) for labels in trainer.method.shown)
    assert [(row["clusters"], row["identities"]) for row in history] == [(5, 5), (4, 5)]


def test_labels_are_compared_with_those_of_the_epoch_before_also_across_a_restart(tmp_path, capsys):
    def clustering(folder, epochs):
        method = Clustering(num_classes=6, groups=2, seed=3)
        return make_trainer(method=method, groups=2, epochs=epochs, run_folder=tmp_path / folder).run()

    whole = clustering("whole", 3)
    clustering("stopped", 1)
    capsys.readouterr()
    again = clustering("stopped", 3)
    assert [row["kept"] for row in again] == [row["kept"] for row in whole]
    assert whole[0]["kept"] == -1 < whole[1]["kept"] < 1
    assert "toy: 4 clusters" in capsys.readouterr().err


def test_what_validates_sees_every_epoch_and_leaves_the_training_as_it_is(tmp_path):
    def validate(method, loader, workers):
        embeddings = embed(method.embedder(), loader, np.arange(48), batch_size=16, workers=workers)
        return {"spread": float(embeddings.std())}

    plain = make_trainer(run_folder=tmp_path / "plain")
    validated = make_trainer(run_folder=tmp_path / "validated")
    validated.validate = validate
    spreads = [row.pop("spread") for row in validated.run()]
    assert len(set(spreads)) == 3
    assert without_speed(validated.history) == without_speed(plain.run())
    assert all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(validated.method.state_dict().values(), plain.method.state_dict().values(), strict=True)
    )


def without_speed(history):
    return [{name: value for name, value in row.items() if name != "images_per_second"} for row in history]


def test_a_run_too_short_for_its_schedule_says_so_once_and_before_its_first_epoch(tmp_path, capsys):
    trainer = make_trainer(run_folder=tmp_path, epochs=1)
    trainer.run()
    said = [line for line in capsys.readouterr().err.splitlines() if "warning" in line or "epoch 1/1" in line]
    assert said[0].startswith("toy: warning: the whole run is ")
    assert said[1].startswith("toy: warning: the warm-up takes 4 steps and the whole run ")
    assert said[2].startswith("toy: epoch 1/1")
    make_trainer(run_folder=tmp_path, epochs=2).run()
    assert "warning" not in capsys.readouterr().err, "a run that goes on has said it"


@pytest.mark.parametrize("every", ["step", "epoch"])
def test_a_warm_up_that_is_a_share_of_the_run_is_that_many_of_its_steps_or_epochs(every):
    def trained(warmup_steps):
        trainer = make_trainer(epochs=6)
        changes = {"warmup_steps": warmup_steps, "warmup_every": every}
        trainer.params = TrainingParams.model_validate(trainer.params.model_dump() | changes)
        return trainer.run()

    steps = len(list(Toy(num_classes=6, groups=4, seed=3).batches(make_data()[1], 0)))
    by_share, by_number = trained({"share": 0.5}), trained(3 if every == "epoch" else 3 * steps)
    for share, number in zip(by_share, by_number, strict=True):
        assert (share["loss"], share["learning_rate"]) == (number["loss"], number["learning_rate"])
    assert by_share[1]["learning_rate"] < by_share[3]["learning_rate"]
