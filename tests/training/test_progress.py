import io

from pipeline.training.progress import Progress


def test_an_epoch_prints_loss_parts_speed_and_time_left():
    stream = io.StringIO()
    progress = Progress("mdpr", epochs=2, epochs_done=0, visible=True, stream=stream)
    progress.begin_epoch()
    progress.end_epoch(0, 64, {"loss": 3.25, "identity": 3.0, "triplet": 0.25})
    assert stream.getvalue().startswith("mdpr: epoch 1/2  loss 3.2500 (identity 3.000  triplet 0.250)  ")
    assert "images/s" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith("left")


def test_only_the_first_worker_prints():
    stream = io.StringIO()
    progress = Progress("mdpr", epochs=1, epochs_done=0, visible=False, stream=stream)
    progress.begin_epoch()
    progress.end_epoch(0, 64, {"loss": 1.0})
    assert stream.getvalue() == ""
