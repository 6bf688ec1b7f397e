import pytest

from pipeline.datasets import reader
from pipeline.methods import words
from pipeline.methods.registry import METHODS
from pipeline.report import citations

DATA_SETS = [name for name in reader.names() if reader.find(name).TITLE is not None]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_sentence_and_somebody_to_cite(method):
    found = words.about(method)
    assert found is not None
    assert found.sentence.endswith(".")
    assert found.citations
    assert [*citations.by_key(found.citations), "he2016deep"] == list(citations.of_method(method))


def test_a_method_that_is_gone_has_no_words():
    assert words.about("mdrp") is None
    assert citations.of_method("mdrp") == {}


@pytest.mark.parametrize("name", DATA_SETS)
def test_every_data_set_has_somebody_to_cite(name):
    assert list(citations.of_data(f"{name}_v2", is_generated=False)) == list(
        citations.by_key(reader.find(name).CITATIONS)
    )
    assert citations.of_data(name, is_generated=False)


def test_generated_and_own_images_are_nobodys():
    assert citations.of_data("market1501", is_generated=True) == {}
    assert citations.of_data("my_people", is_generated=False) == {}


def test_entries_are_whole_and_one_key_is_one_work():
    cited = [citations.of_method(method) for method in METHODS]
    cited += [citations.of_data(name, is_generated=False) for name in DATA_SETS]
    works = [(key, entry) for given in cited for key, entry in given.items()]
    for key, entry in works:
        assert entry.startswith("@")
        assert f"{{{key}," in entry
        assert entry.count("{") == entry.count("}")
        for field in ("title", "author", "year"):
            assert f" {field}" in entry
    assert len(set(works)) == len(dict(works))
