"""A search over the small baseline: learning rates that learn something, and some that do not."""

import numpy as np

from tests.noise import BASELINE, HEIGHT, WIDTH, changed, write_store

LEARN, DO_NOT_LEARN = [1e-2, 2e-2], [1e-9, 2e-9]
SEARCH = {
    "experiment": "small",
    "data": "noise",
    "first": {},
    "fidelity": {"training": {"epochs": 4}},
    "space": {"training": {"learning_rate": {"kind": "choice", "values": [1e-3, *LEARN, *DO_NOT_LEARN]}}},
    "sampler": "random",
    "scheduler": {"kind": "asha", "grace": 2, "reduction": 2},
    "trials": 5,
    "seed": 1,
    "validation": {"share": 0.34, "seed": 1, "criterion": "mAP"},
}
PLAIN = changed(BASELINE, augmentation__flip=0.0, augmentation__erasing=None)


def paint_colours(persons, generator):
    """Returns images of one colour, the identity's, in a light that differs much more: a network must learn which."""
    angles = generator.permutation(np.linspace(0, 2 * np.pi, max(persons) + 1, endpoint=False))[persons]
    hues = np.cos(angles)[:, None] * [0.7, -0.7, 0.0] + np.sin(angles)[:, None] * [0.4, 0.4, -0.8]
    size = len(persons)
    light = generator.normal(0, 40, (size, 1, 1, 1))
    images = 128 + 60 * hues[:, None, None] + light + generator.normal(0, 10, (size, HEIGHT, WIDTH, 3))
    return images.clip(0, 255)


def write_colours(folder):
    """Writes 24 identities to train on, who differ in colour; returns the folder."""
    return write_store(folder, train=range(12, 36), paint=paint_colours)
