from dataclasses import replace

import pytest

from pipeline.evaluation.metrics import NAMES
from pipeline.evaluation.stamp import Recipe, Result, market_protocol

RECIPE = Recipe(
    supervision="supervised",
    start_weights="pretrain",
    height=64,
    width=32,
    feature="fused, 576-d",
    distance="cosine",
    flip=False,
    cameras="not used",
    epoch=8,
    epoch_choice="last",
)


@pytest.fixture
def make_result():
    """Returns a maker of results whose six metrics all equal ``score``."""

    def make(
        experiment, score=0.5, *, data="people", seed=1, method=None, supervision="supervised", mAP_std=None,
        trained_in=(None, None), **changed,
    ):  # fmt: skip
        protocol = market_protocol(
            data=data, fingerprint="abc", counts={"query_images": 3}, is_generated=data == "people"
        )
        metrics = dict.fromkeys(NAMES, score) | ({} if mAP_std is None else {"mAP_std": mAP_std})
        recipe = replace(RECIPE, supervision=supervision, precision=trained_in[0], device=trained_in[1])
        return Result(experiment, method or experiment, seed, 1, metrics, replace(protocol, **changed), recipe)

    return make
