import front_door
import yaml


def test_a_method_is_a_folder_a_line_and_a_block_and_an_ablation_one_file():
    assert front_door.files_to_touch("adding_a_method.md") == 3
    assert front_door.files_to_touch("experiments.md") == 1


def test_dummies_make_the_outputs_of_their_stages_and_keep_what_they_depend_on():
    stages = yaml.safe_load((front_door.ROOT / "dvc.yaml").read_text())["stages"]
    dummy = front_door.with_dummies(stages["prepare"])
    assert dummy["foreach"] == stages["prepare"]["foreach"]
    assert dummy["do"]["deps"] == stages["prepare"]["do"]["deps"]
    assert dummy["do"]["cmd"].endswith("touch data/prepared/${key}.report.json")
    assert front_door.with_dummies(stages["resolve"]) == stages["resolve"], "the others depend on its files"
