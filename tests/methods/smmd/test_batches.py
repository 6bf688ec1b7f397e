import numpy as np
import pytest

from pipeline.methods.smmd.batches import describe_modalities, modality_batches

LABELS = np.repeat(np.arange(8), 10)
IS_INFRARED = np.tile(np.arange(10) >= 6, 8)
IS_INFRARED[LABELS == 6] = False
IS_INFRARED[LABELS == 7] = True
LABELS[:5] = -1
SHAPE = {"groups": 2, "identities": 3, "images": 2, "seed": 1}


def draw(epoch=0, **changes):
    return list(modality_batches(LABELS, IS_INFRARED, epoch=epoch, **{**SHAPE, **changes}))


def test_a_group_holds_each_person_as_often_in_both_modalities_visible_first():
    for rows in draw():
        for group in rows:
            visible, infrared = group.reshape(2, 3, 2)
            assert not IS_INFRARED[visible].any()
            assert IS_INFRARED[infrared].all()
            assert (LABELS[visible] == LABELS[infrared]).all()
            assert len(np.unique(LABELS[visible][:, 0])) == 3
            assert (LABELS[visible] == LABELS[visible][:, :1]).all()


def test_images_repeat_only_where_there_are_too_few():
    for rows in draw():
        assert all(len(set(part)) == 2 for part in rows.reshape(-1, 2) if (LABELS[part] != 0).all())
    assert all(rows.shape == (2, 6 * 7) for rows in draw(images=7))


def test_unlabelled_images_and_persons_of_one_modality_are_never_drawn():
    drawn = np.concatenate([rows.ravel() for epoch in range(20) for rows in draw(epoch)])
    assert set(LABELS[drawn]) == {0, 1, 2, 3, 4, 5}


def test_an_epoch_is_as_long_as_the_larger_modality_lasts():
    assert len(draw()) == ((LABELS >= 0) & ~IS_INFRARED).sum() // 12
    assert len(draw(identities=6, images=50)) == 1


def test_epochs_differ_and_can_be_repeated():
    assert all(np.array_equal(one, two) for one, two in zip(draw(3), draw(3), strict=True))
    assert not np.array_equal(draw(3)[0], draw(4)[0])


def test_too_few_persons_in_both_modalities_are_an_error():
    with pytest.raises(ValueError, match="needs 7 identities, but only 6 are seen in both"):
        draw(identities=7)


def test_persons_seen_in_one_modality_only_are_reported():
    line = describe_modalities(LABELS, IS_INFRARED)
    assert line.endswith("of 6 identities seen in both; never drawn, as seen in one only: 1 visible and 1 infrared")
    assert describe_modalities(LABELS[:60], IS_INFRARED[:60]).endswith("of 6 identities seen in both")
