from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.datasets.layouts.identities import draw_train, own_listing, with_queries
from pipeline.datasets.listing import Listing
from pipeline.images.table import Entry

PEOPLE = [f"person {number}" for number in range(20)]


def test_identities_are_drawn_by_name_and_seed_alone() -> None:
    drawn = draw_train(PEOPLE, share=0.5, seed=1)
    assert len(drawn) == 10
    assert draw_train(reversed(PEOPLE + PEOPLE), share=0.5, seed=1) == drawn
    assert draw_train(PEOPLE, share=0.5, seed=2) != drawn
    assert draw_train(["anna", "ben", "carla", "dora"], share=0.5, seed=1) == {"anna", "dora"}, "on every machine"


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.25, 5), (0.99, 19)])
def test_each_side_has_an_identity(share: float, count: int) -> None:
    assert len(draw_train(PEOPLE, share=share, seed=1)) == count


def test_what_cannot_be_divided_is_refused() -> None:
    with pytest.raises(ValueError, match=r"settings\.train_share: expected a share between 0 and 1, got 1\.0"):
        draw_train(PEOPLE, share=1.0, seed=1)
    with pytest.raises(ValueError, match=r"expected two identities or more, .* got anna"):
        draw_train(["anna"], share=0.5, seed=1)


def roles(*images: tuple[int, int]) -> list[str]:
    """Returns the roles of test images, given identity and camera of each."""
    entries = [Entry(f"{row}.jpg", person, camera, "visible", "test") for row, (person, camera) in enumerate(images)]
    return [entry.role for entry in with_queries(entries)]


def test_the_first_image_by_each_camera_is_a_query_when_others_stay() -> None:
    assert roles((1, 1), (1, 1), (1, 2), (1, 2), (1, 2)) == ["query", "gallery", "query", "gallery", "gallery"]
    assert roles((1, 1), (1, 1), (1, 2)) == ["query", "gallery", "gallery"]


def test_the_first_of_all_is_a_query_where_no_camera_has_a_second() -> None:
    assert roles((1, 2), (1, 1), (1, 3)) == ["query", "gallery", "gallery"]


def test_an_identity_that_cannot_be_found_is_in_the_gallery_only() -> None:
    assert roles((1, 1), (1, 1), (1, 1)) == ["gallery"] * 3
    assert roles((1, 0)) == ["gallery"]
    assert roles((0, 1), (0, 1), (0, 2)) == ["gallery"] * 3, "distractors"


def test_without_cameras_one_image_is_a_query() -> None:
    assert roles((1, 0), (1, 0), (1, 0), (2, 0), (2, 0)) == ["query", "gallery", "gallery", "query", "gallery"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=24))
def test_every_query_has_a_match_and_whoever_can_be_found_is_looked_for(images: list[tuple[int, int]]) -> None:
    found = roles(*images)
    gallery = {image for image, role in zip(images, found, strict=True) if role == "gallery"}
    queries = Counter(image for image, role in zip(images, found, strict=True) if role == "query")
    assert set(queries.values()) <= {1}
    for person, camera in queries:
        assert any(other == person and seen != camera for other, seen in gallery)
    seen_by = {person: {camera for other, camera in images if other == person} for person, _ in images}
    assert {person for person, _ in queries} == {person for person, cameras in seen_by.items() if len(cameras) > 1}


def listing(*cameras: int) -> Listing:
    """Returns the listing of images of one tested identity by the given cameras."""
    entries = [Entry(f"{row}.jpg", 1, camera, "visible", "test") for row, camera in enumerate(cameras)]
    return own_listing(Path("mine"), with_queries(entries), [])


def test_cameras_make_the_protocol() -> None:
    assert (listing(0, 0).protocol, listing(0, 0).num_cameras, listing(0, 0).problems) == ("no_cameras", 0, [])
    assert (listing(1, 2).protocol, listing(1, 2).num_cameras, listing(1, 2).problems) == ("market", 2, [])
    assert listing(0, 2).protocol == "market"


def test_nobody_to_look_for_is_a_problem() -> None:
    (problem,) = listing(3, 3).problems
    assert problem == (
        "no tested identity can be looked for: that needs two images of it, by two of the cameras 3, or no cameras"
    )
    assert listing(0).problems == ["no tested identity can be looked for: that needs two images of it"]
