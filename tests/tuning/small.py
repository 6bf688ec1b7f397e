"""A search over the small baseline on noise of tests/noise.py: a learning rate that learns, and some that do not."""

SEARCH = {
    "experiment": "small",
    "start": {},
    "fidelity": {"training": {"epochs": 4}},
    "space": {"training": {"learning_rate": {"kind": "choice", "values": [1e-3, 2e-3, 1e-9, 2e-9]}}},
    "sampler": "random",
    "scheduler": {"kind": "asha", "grace": 1, "reduction": 2},
    "trials": 4,
    "seed": 1,
    "validation": {"share": 0.34, "seed": 1, "criterion": "mAP"},
}
