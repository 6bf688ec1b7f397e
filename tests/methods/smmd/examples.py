from tests.methods.examples import Example
from tests.noise import BACKBONE, BASELINE

AGW = BASELINE | {
    "method": "two_stream",
    "settings": {
        "backbone": BACKBONE,
        "pooling": "gem",
        "non_local": [0, 1, 1, 0],
        "smoothing": 0.1,
        "triplet_margin": None,
        "batch": {"groups": 4, "identities": 2, "images": 2},
    },
}
SMMD = AGW | {
    "method": "smmd",
    "settings": AGW["settings"]
    | {
        "temperature": 4.0,
        "prototypes": {"source": "average", "momentum": 0.9, "temperature": 0.1},
        "self_mimic": {"form": "posterior", "weight": 1.0, "first_epoch": 5, "contrast": 0.5, "classify": 1.0},
        "mutual": {"level": "person", "direction": "both", "weight": 1.0, "first_epoch": 10},
    },
}
EXAMPLES = {
    "agw": Example(AGW, is_variant=True),
    "smmd": Example(SMMD, stops=((12, 11, 1),)),  # all terms have begun by then
}
