"""The Python code that README.md and docs/export.md show runs as it stands there."""

import ast
import re
from pathlib import Path

import numpy as np
from PIL import Image

from tests.noise import BASELINE

ROOT = Path(__file__).parents[1]


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


def test_the_lines_that_run_an_exported_file_run(tmp_path, monkeypatch, noise):
    from pipeline import export
    from pipeline.images.store import ImageStore
    from pipeline.inference import embed_images, open_network
    from tests.report.conftest import write_training

    write_training(tmp_path / "train", ImageStore(noise), "baseline", BASELINE)
    export.export(tmp_path / "train" / "baseline", tmp_path / "exported" / "baseline")
    image = np.array(ImageStore(noise).images[0])
    Image.fromarray(image).save(tmp_path / "person.png")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(blocks("docs/export.md", "python")[0].replace("person.jpg", "person.png"), names)
    expected = embed_images(open_network(tmp_path / "train" / "baseline"), image[None], np.zeros(1, bool))
    np.testing.assert_allclose(names["embeddings"], expected, rtol=1e-3, atol=1e-4)


def test_the_lines_of_the_readme_print_what_they_say(capsys):
    (block,) = blocks("README.md", "python")
    exec(block, {})
    printed = ast.literal_eval(capsys.readouterr().out)
    told = dict(re.findall(r"(\w+) ([\d.]+)", block.rpartition("# ")[2]))
    assert told.keys() == {"rank1", "mAP", "mINP"}
    assert {name: round(printed[name], 3) for name in told} == {name: float(value) for name, value in told.items()}
