import pytest

from pipeline.datasets.readers import READERS
from pipeline.methods.registry import METHODS
from pipeline.report import cards, citations


def test_every_method_has_somebody_to_cite_and_a_sentence():
    cited = citations.read_citations()
    for method in METHODS:
        keys = citations.of_method(method)
        assert keys
        assert set(keys) <= set(cited)
        assert cards.METHODS[method]


@pytest.mark.parametrize("reader", sorted(set(READERS) - {"folder", "image_list"}))
def test_every_data_set_has_somebody_to_cite(reader):
    keys = citations.of_data(f"{reader}_v2", is_generated=False)
    assert keys
    assert set(keys) <= set(citations.read_citations())


def test_generated_and_own_images_are_nobodys():
    assert citations.of_data("market1501", is_generated=True) == ()
    assert citations.of_data("my_people", is_generated=False) == ()


def test_entries_are_whole_and_none_is_there_in_vain():
    cited = citations.read_citations()
    for key, entry in cited.items():
        assert entry.startswith("@")
        assert f"{{{key}," in entry
        assert entry.count("{") == entry.count("}")
        for field in ("title", "author", "year"):
            assert f" {field}" in entry
    used = {key for keys in (*citations.METHODS.values(), *citations.DATA_SETS.values()) for key in keys}
    assert used == set(cited)
