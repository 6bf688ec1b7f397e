from pathlib import Path
from typing import get_args

import pandas as pd
import pytest

from pipeline.datasets.listing import Listing, Protocol
from pipeline.images.table import Entry
from pipeline.scoring.comparison import EvaluationParams, searches_of
from tests.noise import EVALUATION

ENTRIES = (Entry("a.jpg", 1, 1, "visible", "train"),)


@pytest.mark.parametrize("protocol", get_args(Protocol))
def test_every_protocol_that_a_reader_may_name_can_be_searched(protocol: str) -> None:
    assert searches_of(protocol, EvaluationParams(**EVALUATION))


def test_a_data_set_is_searched_like_market_unless_its_reader_says_otherwise() -> None:
    listing = Listing("own", Path("here"), ENTRIES, num_cameras=1)
    assert listing.protocol == "market"
    assert (listing.published, listing.problems, listing.notes, listing.draws) == (None, (), (), None)


def test_listings_are_the_same_by_their_images_whoever_drew_galleries_from_them() -> None:
    def drawn(*places: int) -> Listing:
        draws = pd.DataFrame({"trial": 1, "path": "a.jpg", "place": list(places)})
        return Listing("own", Path("here"), ENTRIES, num_cameras=1, draws=draws)

    assert drawn(1) == drawn(1, 2), "tables have no truth value, so that comparing them would raise"
    assert drawn(1) != Listing("own", Path("here"), ENTRIES, num_cameras=2)
