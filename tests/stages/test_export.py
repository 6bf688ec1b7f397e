import json


def test_what_was_exported_and_how_well_it_agrees_is_said(trained, tmp_path, capsys):
    trained.run("export", "--checkpoint", "artifacts/train/pretrain", "--out", str(tmp_path / "out"))
    lines = capsys.readouterr().out.splitlines()
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "embedder.json", "embedder.onnx", "embedder.pt2",
    ]  # fmt: skip
    card = json.loads((tmp_path / "out" / "embedder.json").read_text())
    assert (card["experiment"], card["method"]) == ("pretrain", "baseline")
    for file in ("embedder.onnx", "embedder.pt2"):
        lowest = card["checked"]["lowest_cosine"][file]
        said = f"{tmp_path / 'out' / file}: cosines >= {lowest:.7f}, same 10 nearest (40 images)"
        assert said in lines
    assert lines[-1].endswith("embedder.json")


def test_it_ends_with_one_line_where_there_is_no_checkpoint(trained, tmp_path, refused):
    words = ("--checkpoint", str(tmp_path / "absent"), "--out", str(tmp_path / "out"))
    message = refused(trained, "export", *words)
    assert message.startswith(f"error: {tmp_path / 'absent'}: no readable meta.json")
    assert not (tmp_path / "out").exists()
