import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from pipeline.report.artifacts import Artifacts
from pipeline.report.images import all_attention
from pipeline.report.page import render
from pipeline.tracking.usage import Usage
from pipeline.training import checkpoint
from tests.browser import Browser, needs_chromium

SECTIONS = [
    "results", "papers", "training", "cmc", "lists", "attention", "clusters", "distances", "maps", "costs", "data",
    "provenance", "cards", "citations",
]  # fmt: skip
USAGES = [Usage("train", "mdpr", 83.0, 1234.0, 2, "abc")]


@pytest.fixture(scope="module")
def page(made):
    return render(made, USAGES)


class Outline(HTMLParser):
    """Ids, links to them, images without words, tags that were never closed."""

    def __init__(self, page):
        super().__init__()
        self.ids, self.links, self.sections, self.mute, self.sources, self.open = [], [], [], 0, [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"][1:]] if tag == "a" else []
        self.sections += [found.get("id")] * (tag == "section")
        self.mute += tag == "img" and "alt" not in found
        self.sources += [found[name] for name in ("src", "href") if name in found and tag != "a"]
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_has_all_sections_and_is_well_formed(page):
    outline = Outline(page)
    assert outline.sections == SECTIONS
    assert outline.open == []
    assert outline.mute == 0
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.links) <= set(outline.ids)
    assert set(SECTIONS) <= set(outline.links)


def test_a_page_needs_nothing_else(page):
    assert all(source.startswith("data:") for source in Outline(page).sources)
    assert not re.search(r"@import|url\(|<script", page)


def test_the_same_inputs_give_the_same_bytes(made, page):
    assert render(made, USAGES) == page


def test_right_and_wrong_answers_have_a_sign_and_not_only_a_colour(page):
    assert page.count('class="thumb right"') == page.count("<b>✓</b>") - 1  # the one more explains it
    assert page.count('class="thumb wrong"') == page.count("<b>✗</b>") - 1
    assert page.count('class="thumb right"') > 0 < page.count('class="thumb wrong"')


def test_what_others_have_written_is_text_and_no_markup(page):
    assert "odd &lt;things&gt;" in page


def test_times_that_were_recorded_are_shown(page):
    assert "1:23 min" in page
    assert "not recorded" in page


def test_sections_without_anything_are_left_out(made):
    chance = [one for one in made.scores if one.name == "chance"]
    assert Outline(render(Artifacts(chance, {}, {}, []), [])).sections == ["results", "papers"]


def test_without_the_images_all_that_needs_none_is_shown(made):
    found = Outline(render(replace(made, stores={}), [])).sections
    assert found == [section for section in SECTIONS if section not in ("lists", "attention")]


def test_a_checkpoint_that_the_code_cannot_build_any_more_costs_its_attention_only(made, tmp_path):
    old = made.trainings["mdpr"]
    shutil.copytree(old.folder, tmp_path / "mdpr")
    tree = checkpoint.read_meta(tmp_path / "mdpr")
    del tree["experiment"]["training"]["epochs"]
    checkpoint._write_meta(tmp_path / "mdpr", tree)
    found = all_attention({"mdpr": replace(old, folder=tmp_path / "mdpr")}, made.scores, made.stores)
    assert [(one.name, one.rows) for one in found] == [("mdpr", [])]
    assert "training.epochs: missing" in found[0].note


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@needs_chromium
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_it_without_network_complaints_or_sideways_scrolling(page, browser, tmp_path, width):
    file = tmp_path / "index.html"
    file.write_text(page)
    browser.open(file.as_uri(), width)
    assert browser.requested() == [file.as_uri()]
    assert browser.complaints() == []
    browser.evaluate("document.querySelectorAll('details').forEach(box => { box.open = true })")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate("[...document.images].filter(image => !image.naturalWidth).length") == 0
    assert browser.evaluate("document.querySelectorAll('section').length") == len(SECTIONS)


@needs_chromium
def test_the_browser_would_notice(browser, tmp_path):
    file = tmp_path / "bad.html"
    file.write_text("<img src='gone.png'><div style='width:3000px'>wide</div><script>console.error('no')</script>")
    browser.open(file.as_uri(), 390)
    assert len(browser.requested()) == 2
    assert browser.complaints()
    assert browser.evaluate("document.documentElement.scrollWidth") > 390
