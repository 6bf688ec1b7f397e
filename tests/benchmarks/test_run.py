import sqlite3

import pytest
import run

RUNS = [
    ("p1", "old", 0, 100, None), ("a", "train small", 5, 50, "p1"), ("b", "report", 60, 100, "p1"),
    ("p2", "new", 1000, 1100, None), ("c", "prepare people", 1004, 1010, "p2"),
    ("d", "train mdpr", 1013, 1073, "p2"), ("e", "report", 1080, 1100, "p2"),
    ("p3", "no whole graph", 2000, 2100, None), ("f", "train other", 2005, 2050, "p3"),
]  # fmt: skip


@pytest.fixture
def database(tmp_path):
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        store.execute("CREATE TABLE runs (run_uuid, name, status, start_time, end_time)")
        store.execute("CREATE TABLE tags (run_uuid, key, value)")
        store.execute("CREATE TABLE metrics (run_uuid, key, timestamp)")
        for key, name, start, end, parent in RUNS:
            store.execute("INSERT INTO runs VALUES (?, ?, 'FINISHED', ?, ?)", (key, name, start * 1000, end * 1000))
            store.execute("INSERT INTO tags VALUES (?, 'mlflow.parentRunId', ?)", (key, parent))
        for moment in (1043, 1053, 1063):
            store.execute("INSERT INTO metrics VALUES ('d', 'learning_rate', ?)", (moment * 1000,))
    return tmp_path / "mlflow.db"


def test_the_newest_run_of_the_whole_graph_is_split_by_what_was_recorded(database):
    prepare, training, report = run.stages_of_last_run(database)
    assert prepare == run.Stage("prepare people", before=4, start=0, epochs=0, rest=6)
    assert training == run.Stage("train mdpr", before=3, start=20, epochs=30, rest=10)
    assert report == run.Stage("report", before=7, start=0, epochs=0, rest=20)
    assert prepare.total + training.total + report.total == 100


def test_without_a_whole_run_it_is_said_what_to_do(tmp_path, database):
    with pytest.raises(ValueError, match="make repro"):
        run.stages_of_last_run(tmp_path / "other" / "mlflow.db")
    with sqlite3.connect(database) as store:
        store.execute("DELETE FROM runs WHERE name = 'report'")
    with pytest.raises(ValueError, match="no finished run reaches the stage 'report'"):
        run.stages_of_last_run(database)
