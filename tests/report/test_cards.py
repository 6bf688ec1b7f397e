from dataclasses import replace

from safetensors.numpy import load_file

from pipeline.report.artifacts import Scored
from pipeline.report.cards import CAMERAS, GENERATED, make_card, num_parameters


def scored_of(made, name):
    return [scored for scored in made.scores if scored.name == name]


def test_a_card_says_what_a_network_is_and_how_it_scored(made):
    card = make_card(made.trainings["mdpr"], scored_of(made, "mdpr"), set())
    facts = dict(card.facts)
    assert facts["Started from"] == "none"
    assert "ResNet-18 at 0.125 of its width" in facts["Network"]
    assert "mAP" in facts["On noise, standard"]
    assert card.about.startswith("MDPR: ")
    assert list(card.citations) == ["fu2024mutual", "he2016deep"]
    assert GENERATED in card.limits


def test_one_that_was_trained_on_generated_data_and_never_scored_says_so(made):
    data = made.trainings["pretrain"].meta["data"]
    assert GENERATED in make_card(made.trainings["pretrain"], [], {data}).limits
    assert GENERATED not in make_card(made.trainings["pretrain"], [], set()).limits


def test_the_use_of_cameras_is_no_secret(made):
    (scored,) = scored_of(made, "baseline")
    result = scored.any_result
    told = replace(result, recipe=replace(result.recipe, cameras="centred before clustering"))
    card = make_card(made.trainings["baseline"], [Scored(scored.folder, {"": told})], set())
    assert CAMERAS.format("centred before clustering") in card.limits


def test_parameters_are_counted_without_the_statistics_of_batch_norms(made):
    state = load_file(made.trainings["baseline"].folder / "model.safetensors")
    learned = sum(value.size for name, value in state.items() if "running_" not in name and "num_batches" not in name)
    assert num_parameters(made.trainings["baseline"]) == learned
