PAGE = "artifacts/report/index.html"


def test_one_command_makes_the_page_and_says_where_it_is(trained, capsys):
    trained.run("evaluate", "pretrain")
    capsys.readouterr()
    trained.run("report")
    page = trained.folder / PAGE
    assert capsys.readouterr().out == f"report: {page.as_uri()}\n"
    assert page.read_text().startswith("<!doctype html>")
    assert 'id="lists"' in page.read_text()


def test_what_was_never_scored_cannot_be_reported(fresh, refused):
    assert "run its evaluate stage first" in refused(fresh, "report", "mdpr")
    assert "no results" in refused(fresh, "report")
    assert not (fresh.folder / PAGE).exists()
