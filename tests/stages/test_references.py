from pipeline.evaluation.stamp import check_equal_protocols, read_result

NAMES = ("chance", "colour_stripes", "raw_pixels", "untrained", "pretrained")


def test_one_command_scores_what_a_method_has_to_beat(trained):
    trained.run("references", "noise")
    scores = trained.folder / "artifacts" / "evaluate"
    results = [read_result(scores / f"{name}@noise" / "metrics.json") for name in NAMES]
    assert tuple(result.experiment for result in results) == NAMES
    check_equal_protocols(results)
    assert {result.recipe.supervision for result in results} == {"none"}


def test_a_pretraining_that_is_not_there_is_named(fresh, refused):
    message = refused(fresh, "references", "noise")
    assert message.startswith("error: artifacts/train/pretrain: no readable meta.json")
    assert not (fresh.folder / "artifacts").exists()


def test_a_wrong_key_and_data_that_are_not_there_are_named(trained, refused):
    assert "data/prepared/market holds no packed images" in refused(trained, "references", "market")
    trained.write(references={**trained.params["references"], "stripes": 8})
    assert "references.stripes: unknown key" in refused(trained, "references", "noise")
