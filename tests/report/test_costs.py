from pipeline.report.costs import costs
from pipeline.tracking.usage import Usage


def used(stage, name, seconds=10.0):
    return Usage(stage, name, seconds, 500.0, 2, "abc")


def test_stages_stand_in_the_order_of_the_pipeline_with_trainings_that_nobody_recorded(made):
    found = costs(
        [used("tables", ""), used("evaluate", "mdpr"), used("train", "mdpr"), used("prepare", "noise")], made.trainings
    )
    assert [(cost.stage, cost.name) for cost in found] == [
        ("prepare", "noise"),
        ("train", "baseline"),
        ("train", "mdpr"),
        ("train", "pretrain"),
        ("evaluate", "mdpr"),
        ("tables", ""),
    ]
    by_name = {cost.name: cost for cost in found if cost.stage == "train"}
    assert (by_name["mdpr"].seconds, by_name["mdpr"].images_per_second, by_name["mdpr"].epochs) == (10.0, 100.0, 2)
    assert by_name["baseline"].seconds is None


def test_the_page_before_this_one_is_no_part_of_it(made):
    assert "report" not in [cost.stage for cost in costs([used("report", "")], made.trainings)]
