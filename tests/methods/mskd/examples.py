from pipeline.methods.mskd.method import MSKD
from tests.methods.examples import Example
from tests.noise import MSKD as SMALL
from tests.noise import changed

TEACHER = changed(
    SMALL,
    settings__temperature=0.5,
    settings__iterations=1,
    settings__clustering={
        "center_cameras": True,
        "local_weight": 0.15,
        "k1": 6,
        "k2": 2,
        "eps": 0.7,
        "min_samples": 2,
    },
    settings__first_pass={"clusters": None, "iterations": 2, "momentum": 1.0},
    settings__batch={"groups": 4, "identities": 2, "images": 4},
)
STUDENT = changed(
    TEACHER,
    settings__student={"teacher": "", "mimicry_weight": 1.0, "mimicked": "all", "teacher_statistics": "batch"},
)


def give_teacher(method: MSKD) -> None:
    """Gives a student a teacher that is another network."""
    assert method.teacher is not None
    other = MSKD(method.params, num_classes=1, height=32, width=16, seed=4)
    method.teacher.load_state_dict(other.network.state_dict())


EXAMPLES = {
    "teacher": Example(TEACHER, is_variant=True, several_steps={"batch__groups": 2, "iterations": 3}),
    "student": Example(
        STUDENT,
        complete=give_teacher,
        several_steps={"batch__groups": 2, "iterations": 3},
        stops=((3, 0, 1), (3, 2, 2)),  # the first pass has a momentum of its own
    ),
    "mskd_views": Example(
        changed(TEACHER, settings__features="all"),
        is_variant=True,
        several_steps={"batch__groups": 2, "iterations": 3},
    ),
}
