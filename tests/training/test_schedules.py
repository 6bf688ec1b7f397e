import itertools
import math

import pytest
import torch

from pipeline.training.schedules import too_short, warmup_cosine, warmup_milestones

BASE = {"warmup_every": "step", "learning_rate": 3.5e-4, "final_learning_rate": 1e-7, "warmup_factor": 0.1}


def stepped_as_the_authors_do(epochs, steps_per_epoch, warmup_steps, milestones=None):
    """Torch's own schedulers, stepped by the rule of fast-reid's hooks."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=BASE["learning_rate"])
    warmup_epochs = math.ceil(warmup_steps / steps_per_epoch)
    if milestones:
        decay = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1)
    else:
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, T_max=epochs - warmup_epochs, eta_min=BASE["final_learning_rate"]
        )

    def factor(step):
        progress = min(step / warmup_steps, 1.0)
        return BASE["warmup_factor"] * (1 - progress) + progress

    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, factor) if warmup_steps else None
    rates, done = [], 0
    for _ in range(epochs):
        for _ in range(steps_per_epoch):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if warmup is not None and done + 1 <= warmup_steps:
                warmup.step()
            done += 1
        if done + 1 > warmup_steps:
            decay.step()
    return rates


@pytest.mark.parametrize(
    ("epochs", "steps_per_epoch", "warmup_steps"),
    [(60, 50, 2000), (60, 64, 2000), (60, 202, 2000), (12, 10, 40), (12, 10, 35), (8, 5, 0)],
)
def test_learning_rate_follows_torchs_schedulers_stepped_by_the_authors_rule(epochs, steps_per_epoch, warmup_steps):
    theirs = stepped_as_the_authors_do(epochs, steps_per_epoch, warmup_steps)
    ours = [
        warmup_cosine(epoch, step, steps_per_epoch=steps_per_epoch, epochs=epochs, warmup_steps=warmup_steps, **BASE)
        for epoch in range(epochs)
        for step in range(steps_per_epoch)
    ]
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("steps_per_epoch", "warmup_steps"), [(202, 2000), (509, 2000), (200, 2000), (50, 0)])
def test_fast_reids_milestones_are_counted_from_the_end_of_its_warmup(steps_per_epoch, warmup_steps):
    theirs = stepped_as_the_authors_do(120, steps_per_epoch, warmup_steps, milestones=[40, 90])
    schedule = {key: value for key, value in BASE.items() if key != "final_learning_rate"}
    ours = [
        warmup_milestones(
            epoch, step, steps_per_epoch=steps_per_epoch, milestones=[40, 90], factor=0.1,
            counted_from="warmup", warmup_steps=warmup_steps, **schedule,
        )
        for epoch in range(120)
        for step in range(steps_per_epoch)
    ]  # fmt: skip
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_a_warmup_longer_than_the_training_never_reaches_the_cosine():
    rate = warmup_cosine(2, 9, steps_per_epoch=10, epochs=3, warmup_steps=100, **BASE)
    assert rate == pytest.approx(3.5e-4 * (0.1 * 0.71 + 0.29))


@pytest.mark.parametrize("milestones", [[20, 40], [3, 4, 9], []])
def test_milestones_are_those_of_torchs_scheduler_stepped_after_each_epoch(milestones):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3.5e-4)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones, gamma=0.1)
    for epoch in range(50):
        rate = warmup_milestones(
            epoch, 7, steps_per_epoch=10, learning_rate=3.5e-4, milestones=milestones, factor=0.1,
            counted_from="start", warmup_every="step", warmup_steps=0, warmup_factor=0.1,
        )  # fmt: skip
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        optimizer.step()
        scheduler.step()


def test_the_warmup_before_the_milestones_is_the_one_before_the_cosine():
    schedule = {
        "warmup_every": "step",
        "steps_per_epoch": 10,
        "learning_rate": 1.0,
        "warmup_steps": 15,
        "warmup_factor": 0.1,
    }
    steps = [(epoch, step) for epoch in range(2) for step in range(10)][:15]
    cosine = [warmup_cosine(*step, epochs=9, final_learning_rate=0, **schedule) for step in steps]
    assert cosine == [
        warmup_milestones(*step, milestones=[5], factor=0.5, counted_from="warmup", **schedule) for step in steps
    ]


def rate_of_agw(epoch):
    """The learning rate of the backbone, as ``adjust_learning_rate`` of Cross-Modal-Re-ID-baseline e817a26 has it."""
    if epoch < 10:
        return 0.01 * (epoch + 1) / 10
    return 0.01 if epoch < 20 else 0.001 if epoch < 50 else 0.0001


def test_a_warmup_that_goes_on_every_epoch_is_agws():
    for epoch in range(81):
        for step in (0, 400, 694):
            rate = warmup_milestones(
                epoch, step, steps_per_epoch=695, learning_rate=0.01, milestones=[20, 50], factor=0.1,
                counted_from="start", warmup_every="epoch", warmup_steps=9, warmup_factor=0.1,
            )  # fmt: skip
            assert rate == pytest.approx(rate_of_agw(epoch), rel=1e-12)


def test_a_cosine_after_a_warmup_of_epochs_begins_when_that_is_over():
    schedule = {**BASE, "warmup_every": "epoch", "warmup_steps": 3, "steps_per_epoch": 10, "epochs": 8}
    rates = [warmup_cosine(epoch, 5, **schedule) for epoch in range(8)]
    assert rates[:3] == pytest.approx([3.5e-5, 14e-5, 24.5e-5])
    assert all(earlier > later for earlier, later in itertools.pairwise([3.5e-4, *rates[3:]]))


RUN = {"epochs": 12, "steps_per_epoch": 36, "warmup_every": "step", "warmup_steps": 60, "milestones": ()}


def said(**changes):
    return list(too_short(**{**RUN, "counted_from": "start", **changes}))


def test_of_a_run_that_is_long_enough_nothing_is_said():
    assert said() == []
    assert said(warmup_every="epoch", warmup_steps=6, milestones=(4, 11)) == []


def test_a_warm_up_that_fills_the_run_is_told():
    assert said(epochs=6, steps_per_epoch=1) == [
        "the whole run is 6 steps, too few to learn from: raise training.epochs, now 6, to 100 or more, or give more "
        "images",
        "the warm-up takes 60 steps and the whole run 6: set training.warmup_steps to fewer, or to a share of the run, "
        "as {share: 0.1}",
    ]
    (line,) = said(warmup_every="epoch", warmup_steps=9)
    assert line.startswith("the warm-up takes 9 epochs and the whole run 12: ")
    assert said(steps_per_epoch=10) == [], "half the run is enough to learn in"
    assert len(said(steps_per_epoch=9)) == 1


def test_milestones_that_are_not_reached_are_told_and_counted_as_the_schedule_counts_them():
    behind = "lie behind the end of the run, which reaches those up to {}: the learning rate does not fall there"
    assert said(milestones=(4, 12, 90)) == [f"training.decay.milestones: 12, 90 {behind.format(11)}"]
    (line,) = said(milestones=(11,), counted_from="warmup")
    assert line == f"training.decay.milestones: 11 {behind.format(10)}"
    schedule = {key: RUN[key] for key in ("steps_per_epoch", "warmup_every", "warmup_steps")}
    schedule |= {"learning_rate": 1.0, "factor": 0.1, "warmup_factor": 0.1, "counted_from": "warmup"}
    for milestone, last in ((10, 0.1), (11, 1.0)):
        assert warmup_milestones(11, 35, milestones=(milestone,), **schedule) == last
