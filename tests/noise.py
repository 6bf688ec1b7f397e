"""A packed store of noise, and small experiments on it: for tests that need a data set and not what it shows."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd

from pipeline.evaluation.protocols import SYSU_GALLERIES
from pipeline.images import store, table

HEIGHT, WIDTH = 32, 16
TRAIN, TEST, CAMERAS = range(1, 7), range(7, 12), (1, 2)
BACKBONE = {"depth": 18, "width": 0.125, "ibn": False, "last_stride": 1, "stem_pool": "padded"}
BATCH = {"groups": 2, "identities": 2, "images": 2}

EVALUATION = {
    "distance": "cosine",
    "flip": False,
    "batch": 16,
    "average_precision": "standard",
    "postprocessing": None,
    "query_expansion": None,
    "reranking": None,
    "searches": {
        "sysu_mm01": [{"name": name, "shots": 1, "draws": "seeded", "trials": 2} for name in SYSU_GALLERIES],
        "regdb": [{"name": "V->T"}, {"name": "T->V"}],
        "llcm": [{"name": "V->I", "trials": 2}],
    },
}
BASELINE = {
    "method": "baseline",
    "data": "noise",
    "seed": 3,
    "start": "none",
    "augmentation": {
        "pad": 2,
        "flip": 0.5,
        "jitter": None,
        "single_channel": 0.0,
        "grayscale": 0.0,
        "erasing": {
            "probability": 0.5,
            "area": [0.02, 0.33],
            "aspect": [0.3, 3.3],
            "aspect_law": "log_uniform",
            "fill": [0, 0, 0],
            "attempts": 10,
        },
        "patch": None,
    },
    "training": {
        "epochs": 2,
        "optimizer": {"kind": "adam"},
        "learning_rate": 1e-3,
        "decay": {"kind": "cosine", "final": 1e-6},
        "weight_decay": 5e-4,
        "warmup_every": "step",
        "warmup_steps": 2,
        "warmup_factor": 0.1,
        "precision": "float64",
        "embedding_batch": 16,
    },
    "settings": {"backbone": BACKBONE, "pooling": "gem", "smoothing": 0.1, "triplet_margin": 0.3, "batch": BATCH},
}
MDPR = BASELINE | {
    "method": "mdpr",
    "settings": {
        "backbone": BACKBONE,
        "embedding_dim": 8,
        "hard_global": True,
        "part_num": 2,
        "soft": True,
        "attn_num": 2,
        "attn_guided": True,
        "bap_heads": True,
        "fusion": True,
        "diversity": True,
        "foreground_weight": 0.001,
        "distillation": "predictor_cosine",
        "scale": 64.0,
        "margin": 0.35,
        "smoothing": 0.1,
        "triplet_margin": 0.05,
        "features": ["hard_global", "hard_parts", "attn4", "attn3", "fusion"],
        "batch": BATCH,
    },
}

MSKD = BASELINE | {
    "method": "mskd",
    "settings": {
        "backbone": BACKBONE,
        "pooling": "gem",
        "stripes": 2,
        "features": "global",
        "temperature": 0.05,
        "momentum": 0.1,
        "local_weight": 0.2,
        "iterations": 4,
        "other_cameras_first": True,
        "clustering": {
            "center_cameras": False,
            "local_weight": 0.15,
            "k1": 6,
            "k2": 2,
            "eps": 0.6,
            "min_samples": 3,
        },
        "first_pass": None,
        "student": None,
        "batch": BATCH,
    },
}


def changed(block, **values):
    """Returns a block with other values; ``a__b=1`` changes key b of the block a in it."""
    new = dict(block)
    for name, value in values.items():
        key, _, inner = name.partition("__")
        new[key] = changed(new[key], **{inner: value}) if inner else value
    return new


def paint_patterns(persons, generator):
    """Returns images ``[N, H, W, 3]``, each identity noise around its own pattern."""
    patterns = generator.integers(60, 196, (max(TEST) + 1, HEIGHT, WIDTH, 3))
    return patterns[persons] + generator.integers(-60, 60, (len(persons), HEIGHT, WIDTH, 3))


def write_store(folder, seed=0, train=TRAIN, paint=paint_patterns, infrared=()):
    """Writes 6 identities to train on, 5 to test on and 3 distractors, as ``paint`` shows them.

    ``infrared`` are the cameras that see infrared.
    """
    rows = [(person, camera, "train") for person in train for camera in CAMERAS for _ in range(3)]
    rows += [(person, 1, "query") for person in TEST]
    rows += [(person, camera, "gallery") for person in TEST for camera in CAMERAS for _ in range(2)]
    rows += [(0, 1, "gallery")] * 3
    generator = np.random.default_rng(seed)
    images = paint([person for person, _, _ in rows], generator)
    listed = pd.DataFrame(rows, columns=["person_id", "camera_id", "role"])
    listed["path"] = [f"{place:04d}.jpg" for place in range(len(rows))]
    listed["sha256"] = [f"{seed}-{place}" for place in range(len(rows))]
    listed["modality"] = np.where(listed["camera_id"].isin(infrared), "infrared", "visible")
    listed["split"] = listed["role"].map(table.SPLIT_OF_ROLE)
    listed["width"], listed["height"] = WIDTH, HEIGHT
    listed = listed[list(table.COLUMNS)]
    folder.mkdir(parents=True)
    table.write(listed, folder / store.TABLE_FILE)
    np.save(folder / store.IMAGES_FILE, images.astype(np.uint8))
    meta = {
        "name": "noise",
        "protocol": "market",
        "generated": True,
        "height": HEIGHT,
        "width": WIDTH,
        "resampling": "bicubic",
        "counts": asdict(table.count(listed)),
        "fingerprint": table.fingerprint(listed),
    }
    (folder / store.META_FILE).write_text(json.dumps(meta))
    return folder
