import pytest

from pipeline.config import parse
from pipeline.methods.baseline.method import Baseline
from pipeline.methods.mskd import method as mskd
from pipeline.training.checkpoint import latest
from pipeline.training.experiment import ExperimentParams
from pipeline.tuning.plan import make_plan, search_folder
from pipeline.tuning.space import TuneParams
from tests.noise import BASELINE, MSKD, changed
from tests.tuning.small import SEARCH


def plan(runs, data, search=SEARCH, block=BASELINE, method=Baseline):
    params = parse(TuneParams, search, "studies.searches.small")
    folder = search_folder("small", params, block, method, data, runs)
    return make_plan("small", params, block, method, data, folder)


def test_the_first_trial_is_the_experiment_with_first_and_fidelity_laid_over_it(noise, tmp_path):
    made = plan(tmp_path, noise, changed(SEARCH, first={"training": {"learning_rate": 1e-9}}))
    assert made.start == {"training.learning_rate": 1e-9}
    assert made.epochs == 4
    block = changed(BASELINE, training__epochs=4, training__learning_rate=1e-9)
    assert made.job_of(made.start).experiment == made.base == block


def test_a_trial_is_the_same_job_with_other_values_and_a_folder_of_its_own(noise, tmp_path):
    made = plan(tmp_path, noise)
    one, other = made.job_of({"training.learning_rate": 1e-3}), made.job_of({"training.learning_rate": 2e-3})
    assert one.run_folder != other.run_folder
    assert latest(one.run_folder) is None
    assert other.experiment == changed(made.base, training__learning_rate=2e-3)
    assert parse(ExperimentParams, dict(other.experiment), "trial").training.learning_rate == 2e-3
    assert one.data == made.folder / "data"
    assert one.meta["num_classes"] == 4


def test_what_was_found_holds_first_and_what_differs_from_it_but_no_fidelity(noise, tmp_path):
    made = plan(tmp_path, noise, changed(SEARCH, first={"seed": 7}))
    assert made.found(made.start) == {"seed": 7}
    assert made.found({"training.learning_rate": 2e-3}) == {"seed": 7, "training": {"learning_rate": 2e-3}}


def test_the_folder_follows_all_that_a_search_depends_on(noise, tmp_path):
    folders = [
        plan(tmp_path, noise).folder,
        plan(tmp_path, noise, changed(SEARCH, seed=2)).folder,
        plan(tmp_path, noise, changed(SEARCH, validation__seed=2)).folder,
        plan(tmp_path, noise, block=changed(BASELINE, seed=9)).folder,
    ]
    assert len(set(folders)) == 4
    assert plan(tmp_path, noise).folder == folders[0]


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            {"space": {"training": {"rate": {"kind": "choice", "values": [1.0]}}}},
            r"space\.training\.rate overrides nothing",
        ),
        ({"space": {"seed": {"kind": "uniform", "low": 0.0, "high": 9.0}}}, r"experiment\.seed: .*integer"),
        (
            {"space": {"settings": {"triplet_margin": {"kind": "uniform", "low": 0.4, "high": 0.9}}}},
            r"space\.settings\.triplet_margin: the start, 0\.3, is not among what may be drawn",
        ),
        ({"fidelity": {"training": {"epoch": 1}}}, r"fidelity\.training\.epoch overrides nothing"),
        ({"validation": {"share": 0.34, "seed": 1, "criterion": "silhouette"}}, "for methods that cluster"),
    ],
)
def test_a_search_that_does_not_fit_its_experiment_is_refused_before_any_work(search, message, noise, tmp_path):
    with pytest.raises(ValueError, match=message):
        plan(tmp_path / "runs", noise, {**SEARCH, **search})
    assert not (tmp_path / "runs").exists()


def test_a_method_that_clusters_is_judged_by_one_clustering_whatever_it_tries(noise, tmp_path):
    domain = {"settings": {"clustering": {"eps": {"kind": "uniform", "low": 0.3, "high": 0.7}}}}
    search = changed({**SEARCH, "space": domain}, validation__criterion="silhouette")
    made = plan(tmp_path, noise, search, MSKD, mskd.MSKD)
    assert made.criterion == "val_silhouette"
    assert made.validate.clustering == MSKD["settings"]["clustering"]
    assert made.job_of({"settings.clustering.eps": 0.4}).experiment["settings"]["clustering"]["eps"] == 0.4
