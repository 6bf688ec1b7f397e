import re

import pytest

from pipeline.tables import render
from pipeline.tables.render import Cell, Table, drop_empty_columns, replace_blocks, to_latex, to_markdown, to_text


def column(*scores):
    """A table with a row for each score."""
    return Table("scores", ("row", "mAP"), "lr", [[[Cell("a"), Cell(score, is_ranked=True)] for score in scores]], [])


def marked(*scores):
    return [line.split(" | ")[1].removesuffix(" |") for line in to_markdown([column(*scores)]).splitlines()[4:]]


def test_the_best_is_bold_and_the_second_best_underlined():
    assert marked("9.5", "10.0", "9.9") == ["9.5", "**10.0**", "<ins>9.9</ins>"]


def test_where_less_is_better_the_smallest_is_bold(monkeypatch):
    monkeypatch.setattr(render, "FALLING", {"mAP"})
    assert marked("9.5", "10.0", "9.9") == ["**9.5**", "10.0", "<ins>9.9</ins>"]


def test_equal_numbers_share_a_mark():
    assert marked("10.0", "10.0", "9.5", "9.5") == ["**10.0**", "**10.0**", "<ins>9.5</ins>", "<ins>9.5</ins>"]


def test_a_number_that_stands_alone_is_not_the_best_of_anything():
    assert marked("10.0") == ["10.0"]


def test_spreads_and_footnotes_stand_outside_of_the_mark():
    cells = [[Cell("x"), Cell("9.0", " ± 0.5", (1, 2), is_ranked=True)], [Cell("y"), Cell("8.0", is_ranked=True)]]
    table = Table("scores", ("row", "mAP"), "lr", [cells], ["a note"], ("here", "there"))
    assert "| x | **9.0** ± 0.5<sup>1,2</sup> |" in to_markdown([table])
    assert to_markdown([table]).endswith("a note  \n<sup>1</sup> here  \n<sup>2</sup> there\n")
    assert r"x & \textbf{9.0} $\pm$ 0.5$^{1,2}$ \\" in to_latex([table])
    assert "$^{1}$ here $^{2}$ there" in to_latex([table])
    assert "9.0* ± 0.5[1,2]" in to_text([table])


def test_latex_is_booktabs_with_special_letters_escaped():
    table = Table("50 % of a_b", ("row", "✓"), "lr", [[[Cell("V->T & more"), Cell("λ1")]]], [])
    latex = to_latex([table])
    for line in (
        r"% \usepackage{booktabs,amssymb,graphicx}",
        r"\caption{50 \% of a\_b}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"row & $\checkmark$ \\",
        r"V-$>$T \& more & $\lambda$1 \\",
        r"\bottomrule",
    ):
        assert line in latex.splitlines()


def test_latex_has_a_box_for_each_table_that_is_made_smaller_where_a_line_is_too_narrow_for_it():
    latex = to_latex([column("1.0"), column("2.0", "3.0")])
    box = (
        r"\\sbox0\{%\n\\begin\{tabular\}\{lr\}\n[^{]*\\end\{tabular\}%\n\}"
        r"\\ifdim\\wd0>\\linewidth\\resizebox\{\\linewidth\}\{!\}\{\\usebox0\}\\else\\usebox0\\fi\n"
    )
    assert len(re.findall(box, latex.replace(r"\textbf{3.0}", "3.0").replace(r"\underline{2.0}", "2.0"))) == 2
    assert latex.count(r"\begin{tabular}") == 2


def with_texts(*texts):
    """A table whose rows end with texts of how they were made, in one column or in several."""
    rows = [[Cell(f"row {number}", footnotes=(1,)), Cell("1"), *map(Cell, row)] for number, row in enumerate(texts)]
    names = ("recipe",) if len(texts[0]) == 1 else ("start", "images")
    return Table("t", ("row", "seeds", *names), "lr" + "l" * len(names), [rows], [], ("a source",))


def test_in_latex_long_texts_at_the_end_of_rows_are_footnotes_each_once():
    latex = to_latex(
        [with_texts(("64x32, cosine, from pretrain, epoch 12",), ("",), ("64x32, 512-d",), ("64x32, 512-d",))]
    )
    assert r"row & seeds \\" in latex
    assert [line for line in latex.splitlines() if line.startswith("row ")][1:] == [
        r"row 0$^{1,2}$ & 1 \\",
        r"row 1$^{1}$ & 1 \\",
        r"row 2$^{1,3}$ & 1 \\",
        r"row 3$^{1,3}$ & 1 \\",
    ]
    assert "$^{1}$ a source $^{2}$ 64x32, cosine, from pretrain, epoch 12 $^{3}$ 64x32, 512-d\n" in latex
    several = to_latex([with_texts(("the weights of ImageNet", "256x128"), ("", ""))])
    assert "$^{2}$ start the weights of ImageNet, images 256x128\n" in several


def test_in_latex_short_texts_stay_in_their_columns_and_long_headings_are_stacked():
    latex = to_latex([with_texts(("short",), ("texts",))])
    assert r"row 0$^{1}$ & 1 & short \\" in latex
    table = Table("t", ("row", "views in the loss (λ = 1)"), "lr", [[[Cell("a"), Cell("1")]]], [])
    assert r"row & \shortstack[r]{views in the\\loss ($\lambda$ = 1)} \\" in to_latex([table])


def test_columns_in_which_nobody_says_anything_are_left_out():
    rows = [[Cell("x"), Cell(), Cell("1")], [Cell("y"), Cell(), Cell()]]
    table = drop_empty_columns(Table("t", ("a", "b", "c"), "lrl", [rows], []))
    assert (table.header, table.columns) == (("a", "c"), "ll")
    assert table.groups == [[[Cell("x"), Cell("1")], [Cell("y"), Cell()]]]


def test_only_the_block_between_the_marks_is_replaced():
    readme = "# Title\n<!-- results:begin -->\nold\n<!-- results:end -->\nrest\n"
    new = replace_blocks(readme, {"results": "| table |\n", "claims": "not asked for\n"})
    assert new == "# Title\n<!-- results:begin -->\n| table |\n<!-- results:end -->\nrest\n"
    assert replace_blocks(new, {"results": "| table |\n"}) == new


@pytest.mark.parametrize(
    "readme",
    ["<!-- results:end -->\n<!-- results:begin -->", 2 * "<!-- results:begin -->\n<!-- results:end -->\n"],
)
def test_a_page_with_half_of_its_marks_or_twice_as_many_is_an_error(readme):
    with pytest.raises(ValueError, match="needs the lines"):
        replace_blocks(readme, {"results": "table"})


def test_a_page_without_any_marks_is_an_error():
    with pytest.raises(
        ValueError, match="no block to replace: expected <!-- results:begin --> or <!-- claims:begin -->"
    ):
        replace_blocks("none", {"results": "table", "claims": "table"})
