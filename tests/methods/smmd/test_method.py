import numpy as np
import pytest
import torch

from pipeline.batches.loading import Batch
from pipeline.methods.smmd.method import SMMD, SMMDParams, TwoStream, TwoStreamParams
from tests.training.toy import IS_INFRARED as TOY_IS_INFRARED
from tests.training.toy import make_trainer

LABELS = torch.tensor([0, 0, 2, 2, 0, 0, 2, 2])
IS_INFRARED = torch.arange(8) >= 4
BASE = {
    "backbone": {"depth": 18, "width": 0.125, "ibn": False, "last_stride": 1, "stem_pool": "padded"},
    "pooling": "average",
    "non_local": [0, 0, 0, 0],
    "smoothing": 0.0,
    "triplet_margin": 0.3,
    "batch": {"groups": 1, "identities": 2, "images": 2},
}
PLAIN = {
    **BASE,
    "temperature": 4.0,
    "prototypes": {"source": "average", "momentum": 0.9, "temperature": 0.1},
    "self_mimic": {"form": "posterior", "weight": 1.0, "first_epoch": 1, "contrast": 0.5, "classify": 1.0},
    "mutual": {"level": "person", "direction": "both", "weight": 1.0, "first_epoch": 2},
}


def images(seed=0):
    return torch.randn(8, 3, 32, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def batch(seed=0):
    return Batch(images(seed), LABELS, IS_INFRARED, torch.arange(8))


def build(**changes):
    params = SMMDParams.model_validate({**PLAIN, **changes})
    method = SMMD(params, num_classes=3, height=32, width=16, seed=0).double().train()
    generator = torch.Generator().manual_seed(1)
    method.prototypes.copy_(torch.randn(method.prototypes.shape, generator=generator, dtype=torch.float64))
    with torch.no_grad():
        method.network.classifier.weight.mul_(100)  # posteriors that are told apart
    method.seen.fill_(True)
    method.seen[1, 1] = False
    method.epoch = 5
    return method


def gradient_of(method):
    output = method(batch())
    output.loss.backward()
    gradients = [weight.grad for weight in method.network.parameters() if weight.grad is not None]
    return torch.cat([output.loss.detach().view(1), *(gradient.flatten() for gradient in gradients)])


def changed(name, **keys):
    return {name: {**PLAIN[name], **keys}}


VARIANTS = {
    "no self-mimic": {"self_mimic": None},
    "no mutual distillation": {"mutual": None},
    "neither": {"self_mimic": None, "mutual": None},
    "mimic of features": changed("self_mimic", form="feature"),
    "mimic weight": changed("self_mimic", weight=0.5),
    "no contrast": changed("self_mimic", contrast=0.0),
    "no classified prototypes": changed("self_mimic", classify=0.0),
    "from visible": changed("mutual", direction="from_visible"),
    "from infrared": changed("mutual", direction="from_infrared"),
    "instance": changed("mutual", level="instance"),
    "prototype": changed("mutual", level="prototype"),
    "prototype from visible": changed("mutual", level="prototype", direction="from_visible"),
    "prototype from infrared": changed("mutual", level="prototype", direction="from_infrared"),
    "relation": changed("mutual", level="relation"),
    "mutual weight": changed("mutual", weight=0.5),
    "classifier's rows": changed("prototypes", source="classifier"),
    "prototypes' temperature": changed("prototypes", temperature=0.05),
    "temperature": {"temperature": 1.0},
    "smoothing": {"smoothing": 0.1},
    "weighted triplets": {"triplet_margin": "weighted"},
    "soft triplets": {"triplet_margin": "soft"},
    "gem": {"pooling": "gem"},
    "late self-mimic": changed("self_mimic", first_epoch=6),
}


def test_every_variant_changes_the_loss_or_its_gradient_and_no_two_are_alike():
    found = {name: gradient_of(build(**changes)) for name, changes in {"plain": {}, **VARIANTS}.items()}
    for name, one in found.items():
        for other, two in found.items():
            assert name == other or one.shape != two.shape or not torch.allclose(one, two, rtol=1e-6), (name, other)


@pytest.mark.parametrize(("value", "word"), [(None, "weighted"), (0.0, "soft")])
def test_what_once_stood_for_the_kind_of_triplets_still_does(value, word):
    assert torch.equal(gradient_of(build(triplet_margin=value)), gradient_of(build(triplet_margin=word)))


@pytest.mark.parametrize(
    ("source", "momentum"), [("average", 0.9), ("average", 0.5), ("average", 0.0), ("epoch", 0.9), ("classifier", 0.9)]
)
def test_prototypes_follow_their_source(source, momentum):
    method = build(**changed("prototypes", source=source, momentum=momentum))
    before = method.prototypes.clone()
    vectors = torch.randn(8, 64, dtype=torch.float64)
    method.after_step(LABELS, {"vectors": vectors, "is_infrared": IS_INFRARED.long()})
    if source == "average":
        expected = momentum * before[0, 2] + (1 - momentum) * vectors[2:4].mean(0)
        torch.testing.assert_close(method.prototypes[0, 2], expected)
    else:
        assert torch.equal(method.prototypes, before)


def test_prototypes_of_an_epoch_are_the_means_of_all_its_images():
    method = build(**changed("prototypes", source="epoch"))
    method.begin_training(np.ones(9), np.append(IS_INFRARED.numpy(), False), {})
    labels = np.append(LABELS.numpy(), -1)
    vectors = torch.randn(8, 64)
    assert method.begin_epoch(3, lambda embedder: vectors, labels) is labels
    torch.testing.assert_close(method.prototypes[1, 0], vectors[4:6].double().mean(0))


def test_no_parameter_is_added_to_the_baseline():
    baseline = TwoStream(TwoStreamParams.model_validate(BASE), num_classes=3, height=32, width=16, seed=0)
    shapes = [(name, weight.shape) for name, weight in baseline.named_parameters()]
    assert [(name, weight.shape) for name, weight in build().named_parameters()] == shapes


def test_with_everything_off_it_is_the_baseline():
    baseline = TwoStream(TwoStreamParams.model_validate(BASE), num_classes=3, height=32, width=16, seed=0)
    plain = SMMD(
        SMMDParams.model_validate({**PLAIN, "self_mimic": None, "mutual": None}),
        num_classes=3,
        height=32,
        width=16,
        seed=0,
    )
    assert torch.equal(gradient_of(baseline.double()), gradient_of(plain.double()))


def test_the_modalities_are_aligned_within_before_across():
    method = build()
    terms = []
    for epoch in range(4):
        method.enter_epoch(epoch)
        method.begin_epoch(epoch, None, LABELS.numpy())
        terms.append(set(method(batch()).parts))
    always = {"identity", "triplet", "contrast", "classify"}
    assert terms == [
        always,
        always | {"self_mimic"},
        always | {"self_mimic", "mutual"},
        always | {"self_mimic", "mutual"},
    ]


def test_unseen_prototypes_teach_nothing():
    for level in ("prototype", "person"):
        method = build(**changed("mutual", level=level))
        method.prototypes.zero_()
        method.seen.zero_()
        parts = method(batch()).parts
        assert parts["self_mimic"] == parts["contrast"] == parts["classify"] == 0
        assert (parts["mutual"] == 0) == (level == "prototype")


def test_distillation_moves_no_prototype_and_classifying_them_moves_the_classifier_alone():
    method = build(smoothing=0.0)
    method.prototypes.requires_grad_()
    classify = method._classify(*method._prototypes())
    classify.backward()
    moved = {name for name, weight in method.network.named_parameters() if weight.grad is not None}
    assert moved == {"classifier.weight"}


def test_identities_of_one_modality_are_said_before_training():
    assert "never drawn" in build().describe_labels(np.array([0, 0, 1, 1, 0, 0, 2, 2]), IS_INFRARED.numpy())


def test_embeddings_need_the_modality():
    embedder = build().eval().embedder()
    visible, infrared = (embedder(images(), torch.full((8,), side)) for side in (False, True))
    assert visible.shape == (8, 64)
    torch.testing.assert_close(visible, infrared)  # stems start alike
    embedder.network.infrared.conv1.weight.data += 0.1
    assert not torch.allclose(embedder(images(), torch.ones(8, dtype=torch.bool)), visible)


def make_small_trainer(**settings):
    params = SMMDParams.model_validate({**PLAIN, "batch": {"groups": 2, "identities": 2, "images": 2}})
    method = SMMD(params, num_classes=6, height=32, width=16, seed=0)
    method.begin_training(np.ones(48), TOY_IS_INFRARED, {})
    return make_trainer(method=method, groups=2, epochs=3, **settings)


def test_a_training_that_was_stopped_goes_on_with_its_prototypes_bit_for_bit(tmp_path):
    def stop(metrics):
        if metrics["epoch"] == 3:
            raise KeyboardInterrupt

    whole = make_small_trainer()
    history = whole.run()
    with pytest.raises(KeyboardInterrupt):
        make_small_trainer(run_folder=tmp_path, report=stop).run()
    resumed = make_small_trainer(run_folder=tmp_path)
    assert resumed.run() == [
        {**row, "images_per_second": there["images_per_second"]}
        for row, there in zip(history, resumed.history, strict=True)
    ]
    states = whole.method.state_dict(), resumed.method.state_dict()
    assert states[0]["seen"].any()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
