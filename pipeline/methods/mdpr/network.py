"""MDPR's network: a hard (stripes) and a soft (attention) branch behind a shared stem, and their fusion."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pipeline.backbones.resnet import ResNet
from pipeline.layers.heads import EmbeddingHead, HeadOutput
from pipeline.layers.necks import Projection
from pipeline.layers.parts import stripes
from pipeline.layers.pooling import GeMPool
from pipeline.methods.mdpr.attention import AttentionPool, TwoDepthAttention
from pipeline.methods.mdpr.fusion import Fusion


class HardBranch(nn.Module):
    """Shared map ``[B, C, h, w]`` -> embedded maps of the whole and of ``part_num`` stripes, by head."""

    def __init__(self, backbone: ResNet, embedding_dim: int, *, hard_global: bool, part_num: int) -> None:
        super().__init__()
        self.layer3 = copy.deepcopy(backbone.layer3)
        self.layer4 = copy.deepcopy(backbone.layer4)
        channels = backbone.channels[1]
        self.embed_global = Projection(channels, embedding_dim) if hard_global else None
        self.embed_parts = nn.ModuleList(Projection(channels, embedding_dim) for _ in range(part_num))

    def forward(self, shared: Tensor) -> dict[str, Tensor]:
        """Returns ``hard_global`` and ``hard_part_0``, ... as far as they were asked for."""
        maps = self.layer4(self.layer3(shared))
        embedded = {} if self.embed_global is None else {"hard_global": self.embed_global(maps)}
        if self.embed_parts:
            cut = stripes(maps, len(self.embed_parts))
            for index, (embed, stripe) in enumerate(zip(self.embed_parts, cut, strict=True)):
                embedded[f"hard_part_{index}"] = embed(stripe)
        return embedded


@dataclass
class SoftMaps:
    """``deep`` and ``shallow``: features ``[B, C, h, w]`` of layers 4 and 3; ``embedded``: by head."""

    deep: Tensor
    shallow: Tensor
    refined: Tensor
    embedded: dict[str, Tensor]


class SoftBranch(nn.Module):
    """Shared map ``[B, C, h, w]`` -> embedded maps at two depths, and attention over both."""

    def __init__(self, backbone: ResNet, embedding_dim: int, *, attn_num: int, attn_guided: bool) -> None:
        super().__init__()
        self.layer3 = copy.deepcopy(backbone.layer3)
        self.layer4 = copy.deepcopy(backbone.layer4)
        shallow, deep = backbone.channels
        self.embed4 = Projection(deep, embedding_dim)
        self.refine3 = Projection(shallow, shallow)
        self.embed3 = Projection(shallow, embedding_dim)
        self.attention: TwoDepthAttention | None = None
        if attn_num:
            self.attention = TwoDepthAttention(shallow, deep, attn_num=attn_num, guided=attn_guided)
            self.pool4 = AttentionPool(deep, embedding_dim, attn_num=attn_num)
            self.pool3 = AttentionPool(shallow, embedding_dim, attn_num=attn_num)

    def forward(self, shared: Tensor) -> SoftMaps:
        """Returns the maps of both depths, ``attn4`` and ``attn3`` embedded for their heads."""
        shallow = self.layer3(shared)
        deep = self.layer4(shallow)
        refined = self.refine3(shallow)
        return SoftMaps(deep, shallow, refined, {"attn4": self.embed4(deep), "attn3": self.embed3(refined)})

    def attend(self, maps: SoftMaps) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
        """Returns foreground maps ``[B, M, h, w]`` and what they pool ``[M, B, D]``, both by depth (4, 3).

        Both are empty for a branch without attention.
        """
        if self.attention is None:
            return {}, {}
        attention3, attention4 = self.attention(maps.shallow, maps.deep)
        pooled = {4: self.pool4(maps.deep, attention4), 3: self.pool3(maps.refined, attention3)}
        return {4: attention4, 3: attention3}, pooled


class Predictor(nn.Sequential):
    """Linear, BN, ReLU, Linear: a vector ``[B, D]`` -> the other branch's, ``[B, D]``."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Linear(channels, channels, bias=False),
            nn.BatchNorm1d(channels),
            nn.ReLU(inplace=True),
            nn.Linear(channels, channels),
        )


@dataclass
class MDPROutput:
    """``heads``: by name (hard_global, hard_part_0, ..., attn4, attn3, fusion, bap4, bap3).

    By depth (4, 3): ``attention`` foreground maps ``[B, M, h, w]``, ``pooled`` vectors under them ``[B, M, D]``.
    ``predictions``: of the hard and the soft global vector, ``[B, D]``; None without predictors.
    """

    heads: dict[str, HeadOutput]
    attention: dict[int, Tensor]
    pooled: dict[int, Tensor]
    predictions: tuple[Tensor, Tensor] | None


class MDPRNetwork(nn.Module):
    """Images ``[B, 3, H, W]`` (normalised) -> ``MDPROutput``; what is switched off isn't built.

    ``backbone``: taken apart; stem, ``layer1`` and ``layer2`` are shared, each branch gets copies of ``layer3``
    and ``layer4``. ``part_num``: stripes (0 for none). ``soft``: the soft branch, with ``attention`` (maps and the
    vectors pooled under them), ``attn_num`` maps at each depth, the deep ones guiding the shallow ones if
    ``attn_guided``, and heads on the pooled vectors if ``bap_heads``. ``fusion`` needs both branches whole,
    ``predictors`` both global vectors.

    Source: "Mutual Distillation Learning For Person Re-Identification" (arXiv 2401.06430); KuilongCui/MDPR 89d9737.

    Raises:
        ValueError: when a switch needs another one, or the two depths differ in size (last stride 2).
    """

    def __init__(
        self,
        *,
        backbone: ResNet,
        num_classes: int,
        embedding_dim: int,
        hard_global: bool,
        part_num: int,
        soft: bool,
        attention: bool,
        attn_num: int,
        attn_guided: bool,
        bap_heads: bool,
        fusion: bool,
        predictors: bool,
    ) -> None:
        super().__init__()
        for switch, on, need, met in (
            ("attention", attention, "soft", soft),
            ("bap_heads", bap_heads, "attention", attention),
            ("fusion", fusion, "hard_global, stripes and soft", hard_global and part_num > 0 and soft),
            ("predictors", predictors, "hard_global and soft", hard_global and soft),
            ("soft", soft, "last_stride 1: both depths must have the same size", backbone.last_stride == 1),
            ("the network", True, "hard_global, stripes or soft", hard_global or part_num > 0 or soft),
        ):
            if on and not met:
                raise ValueError(f"{switch} needs {need}")
        self.architecture = backbone.architecture
        shared = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2")
        self.shared = nn.Sequential(OrderedDict((name, getattr(backbone, name)) for name in shared))
        self.hard: HardBranch | None = None
        if hard_global or part_num:
            self.hard = HardBranch(backbone, embedding_dim, hard_global=hard_global, part_num=part_num)
        self.soft: SoftBranch | None = None
        if soft:
            self.soft = SoftBranch(
                backbone, embedding_dim, attn_num=attn_num if attention else 0, attn_guided=attn_guided
            )
        self.fusion = Fusion(embedding_dim) if fusion else None
        self.retrieval = [
            *(["hard_global"] if hard_global else []),
            *(f"hard_part_{index}" for index in range(part_num)),
            *(["attn4", "attn3"] if soft else []),
            *(["fusion"] if fusion else []),
        ]
        self.dims = {name: embedding_dim * (4 if name == "fusion" else 1) for name in self.retrieval}
        self.heads = nn.ModuleDict(
            {name: EmbeddingHead(dim, num_classes, pool=GeMPool()) for name, dim in self.dims.items()}
        )
        if bap_heads:
            for name in ("bap4", "bap3"):
                self.heads[name] = EmbeddingHead(attn_num * embedding_dim, num_classes, pool=nn.Identity())
        self.predictors = nn.ModuleList(Predictor(embedding_dim) for _ in range(2)) if predictors else None

    def backbone_modules(self) -> list[tuple[str, nn.Module]]:
        """Returns the modules that start weights fill, each with its name in a ``ResNet``."""
        branches = [branch for branch in (self.hard, self.soft) if branch is not None]
        private = [(name, getattr(branch, name)) for branch in branches for name in ("layer3", "layer4")]
        return [*self.shared.named_children(), *private]

    def forward(self, images: Tensor) -> MDPROutput:
        """Returns what the losses need."""
        maps, soft = self._maps(images)
        attention, pooled = self.soft.attend(soft) if self.soft is not None and soft is not None else ({}, {})
        inputs = maps | {f"bap{depth}": vectors.transpose(0, 1).flatten(1).relu() for depth, vectors in pooled.items()}
        heads = {name: head(inputs[name]) for name, head in self.heads.items()}
        predictions = None
        if self.predictors is not None:
            hard, deep = self.predictors
            predictions = (hard(heads["hard_global"].vector), deep(heads["attn4"].vector))
        by_image = {depth: vectors.transpose(0, 1) for depth, vectors in pooled.items()}
        return MDPROutput(heads, attention, by_image, predictions)

    def embed(self, images: Tensor, features: Sequence[str]) -> Tensor:
        """Returns the test feature ``[B, D]``: the embeddings of ``features`` side by side, in their own order."""
        names = self.feature_heads(features)
        maps, _ = self._maps(images)
        return torch.cat([cast(EmbeddingHead, self.heads[name]).embed(maps[name]) for name in names], dim=1)

    def foreground(self, images: Tensor, depth: int) -> Tensor:
        """Returns the share of each pixel that attention at a depth (4, 3) gives to the foreground, ``[B, H * W]``.

        The maps are smaller than the images, and interpolated.
        """
        _, soft = self._maps(images)
        assert self.soft is not None
        assert soft is not None
        attention, _ = self.soft.attend(soft)
        shares = attention[depth].sum(dim=1, keepdim=True)
        return F.interpolate(shares, size=images.shape[-2:], mode="bilinear").flatten(1)

    def feature_heads(self, features: Sequence[str]) -> list[str]:
        """Returns the heads that ``features`` (hard_global, hard_parts, attn4, attn3, fusion) stand for.

        The heads bap4 and bap3 serve training only.

        Raises:
            ValueError: for a feature that is unknown, or that this network doesn't have.
        """
        by_feature: dict[str, list[str]] = {}
        for name in self.retrieval:
            by_feature.setdefault("hard_parts" if name.startswith("hard_part_") else name, []).append(name)
        absent = [feature for feature in features if feature not in by_feature]
        if absent or not features:
            raise ValueError(f"features: expected some of {', '.join(by_feature)}, got {', '.join(features) or 'none'}")
        return [name for feature, names in by_feature.items() if feature in features for name in names]

    def _maps(self, images: Tensor) -> tuple[dict[str, Tensor], SoftMaps | None]:
        """Returns the map of each retrieval head, and what attention works on."""
        shared = self.shared(images)
        maps: dict[str, Tensor] = {}
        soft = None
        if self.hard is not None:
            maps |= self.hard(shared)
        if self.soft is not None:
            soft = self.soft(shared)
            maps |= soft.embedded
        if self.fusion is not None:
            maps["fusion"] = self.fusion(maps)
        return maps, soft
