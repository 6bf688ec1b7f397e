from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from pipeline.backbones import weights
from pipeline.backbones.resnet import ResNet
from pipeline.backbones.weights import (
    WeightsError,
    imagenet,
    load_backbone,
    load_network,
    load_part,
    load_start,
    read_state,
)
from pipeline.methods.baseline.network import BaselineNetwork


def network(width: float = 0.125, num_classes: int = 3, ibn: bool = False) -> BaselineNetwork:
    backbone = ResNet(depth=18, width=width, ibn=ibn, last_stride=1, stem_pool="padded")
    return BaselineNetwork(backbone=backbone, pooling="gem", num_classes=num_classes)


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("touched"),)


def test_none_leaves_the_network_as_it_is():
    net = network()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    load_start(net, "none")
    assert equal(before, net.state_dict())


def test_torchvision_names_load_without_the_classifier(tmp_path):
    source = resnet18()
    torch.save(source.state_dict(), tmp_path / "resnet18.pth")
    net = network(width=1)
    load_start(net, str(tmp_path / "resnet18.pth"))
    images = torch.randn(2, 3, 64, 32)
    inside = torch.nn.Sequential(*list(source.eval().children())[:-3])
    own = torch.nn.Sequential(*list(net.eval().backbone.children())[:-1])
    assert torch.equal(own(images), inside(images))


def test_a_network_of_ours_gives_its_backbone(tmp_path):
    source = network(num_classes=7)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    net = network()
    load_start(net, str(tmp_path / "model.safetensors"))
    assert equal(net.backbone.state_dict(), source.backbone.state_dict())


def test_a_training_checkpoint_with_numpy_numbers_opens(tmp_path):
    state = {"module.weight": torch.ones(2)}
    extra = {"best": np.float64(0.5), "epoch": np.int64(3), "curve": np.arange(3.0)}
    torch.save({"model": state, **extra}, tmp_path / "model.pth")
    assert equal(read_state(tmp_path / "model.pth"), {"weight": torch.ones(2)})


def test_numbers_written_by_numpy_1_open(tmp_path):
    torch.save({"model": {"weight": torch.ones(2)}, "best": np.float64(0.5)}, tmp_path / "new.pth")
    with ZipFile(tmp_path / "new.pth") as new, ZipFile(tmp_path / "old.pth", "w") as old:
        for name in new.namelist():
            content = new.read(name)
            assert b"numpy._core.multiarray" in content or not name.endswith("data.pkl")
            old.writestr(name, content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert equal(read_state(tmp_path / "old.pth"), {"weight": torch.ones(2)})


def test_a_file_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.ones(2), "trap": Trap()}, "trap.pth")
    with pytest.raises(WeightsError, match="tensors, numbers and text alone"):
        read_state(Path("trap.pth"))
    assert not Path("touched").exists()


@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_a_damaged_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a file of weights")
    with pytest.raises(WeightsError, match=name):
        read_state(tmp_path / name)


def test_an_absent_file_is_named():
    with pytest.raises(WeightsError, match=r"no weights at .*absent\.pth"):
        read_state(Path("absent.pth"))


def test_what_does_not_fit_is_all_named():
    state = network().backbone.state_dict()
    state["layer4.0.conv1.weight"] = torch.zeros(1)
    state["extra"] = state.pop("conv1.weight")
    with pytest.raises(WeightsError) as error:
        load_backbone(network(), state)
    for line in ("1 missing: conv1.weight", "1 unexpected: extra", r"1 of another shape: layer4.0.conv1.weight [1]"):
        assert line in str(error.value)


def test_plain_weights_do_not_pass_for_an_ibn_network():
    with pytest.raises(WeightsError, match=r"missing: .*layer1\.0\.bn1\.IN\.weight"):
        load_backbone(network(ibn=True), network().backbone.state_dict())


def test_files_without_batch_counters_load():
    state = {name: t for name, t in network().backbone.state_dict().items() if not name.endswith("tracked")}
    load_backbone(network(), state)


def test_a_classifier_of_other_identities_is_left_out():
    source, net = network(num_classes=5), network(num_classes=3)
    assert load_network(net, source.state_dict()) == ["classifier.weight"]
    assert equal(net.backbone.state_dict(), source.backbone.state_dict())
    assert load_network(network(num_classes=5), source.state_dict()) == []


@pytest.mark.parametrize("net", [network(ibn=True), network()])
def test_imagenet_weights_of_another_network_are_not_looked_for(net):
    with pytest.raises(WeightsError, match=f"not for {net.architecture}: give the path of a file"):
        load_start(net, "imagenet")


def test_offline_says_which_file_to_put_where(tmp_path, monkeypatch):
    def unreachable(*_args, **_options):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(WeightsError, match=rf"put resnet18-f37072fd\.pth into {tmp_path}/checkpoints"):
        imagenet("resnet18")


def test_a_cached_file_is_held_against_its_hash(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    file = tmp_path / "checkpoints" / "resnet18-f37072fd.pth"
    torch.save(resnet18().state_dict(), file)
    with pytest.raises(WeightsError, match="SHA-256"):
        imagenet("resnet18")


def test_torchvision_weights_fill_a_backbone_when_their_hash_fits(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    source = resnet18()

    def download(_url, target, hash_prefix, progress):
        torch.save(source.state_dict(), target)

    class Hash:
        def hexdigest(self):
            return "f37072fd"

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    monkeypatch.setattr(weights.hashlib, "file_digest", lambda _file, _kind: Hash())
    net = network(width=1)
    load_start(net, "imagenet")
    assert torch.equal(net.backbone.layer4[1].conv2.weight, source.layer4[1].conv2.weight)


def plain_and_ibn():
    """A plain ResNet's state, and a network with IBN whose backbone is otherwise the same."""
    plain, with_ibn = (
        ResNet(depth=50, width=0.125, ibn=ibn, last_stride=1, stem_pool="padded") for ibn in (False, True)
    )
    return plain.state_dict(), BaselineNetwork(backbone=with_ibn, pooling="gem", num_classes=3)


def test_a_partial_start_fills_what_has_the_same_name_and_says_what_else_there_is(tmp_path):
    state, net = plain_and_ibn()
    drawn = {name: tensor.clone() for name, tensor in net.backbone.state_dict().items()}
    torch.save({**state, "fc.weight": torch.ones(2)}, tmp_path / "plain.pth")
    with pytest.raises(WeightsError, match="missing"):
        load_start(net, str(tmp_path / "plain.pth"))
    fit = load_start(net, str(tmp_path / "plain.pth"), partial=True)
    assert fit.left == [f"layer{stage}.*.bn1.{half}" for stage in (1, 2, 3) for half in ("BN", "IN")]
    assert fit.skipped == [f"layer{stage}.*.bn1" for stage in (1, 2, 3)]
    assert {"conv1", "layer1.*.conv1", "layer3.*.bn2", "layer4.*.bn1"} <= set(fit.filled)
    assert str(fit).count("; ") == 2
    for name, tensor in net.backbone.state_dict().items():
        source = state if name in state else drawn
        assert torch.equal(tensor, source[name]), name


def test_a_partial_start_refuses_another_shape_and_a_file_that_shares_nothing():
    state, net = plain_and_ibn()
    with pytest.raises(WeightsError, match=r"of another shape: conv1\.weight"):
        load_part(net, {**state, "conv1.weight": torch.ones(3)})
    with pytest.raises(WeightsError, match="no tensor of the file has a name of resnet50_ibn"):
        load_part(net, {"encoder.weight": torch.ones(3)})
