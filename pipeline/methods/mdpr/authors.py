"""The authors' names of MDPR's tensors, and ours: one table, both directions."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from pipeline.backbones.renaming import rename

LAYERS = (
    ("generate.backbone.0.", "shared.conv1."),
    ("generate.backbone.1.", "shared.bn1."),
    ("generate.backbone.4.", "shared.layer1."),
    ("generate.backbone.5.", "shared.layer2."),
    ("generate.backbone_part.0.", "hard.layer3."),
    ("generate.backbone_part.1.", "hard.layer4."),
    ("generate.backbone_attn.0.", "soft.layer3."),
    ("generate.backbone_attn.1.", "soft.layer4."),
    ("generate.attention_maker4.conv.", "soft.attention.deep.conv1."),
    ("generate.attention_maker4.conv3.", "soft.attention.deep.conv3."),
    ("generate.attention_maker4.bn.", "soft.attention.deep.bn."),
    ("generate.up_attn_4_3.conv.", "soft.attention.guide."),
    ("generate.attention_maker3.conv.", "soft.attention.shallow.conv1."),
    ("generate.attention_maker3.conv3.", "soft.attention.shallow.conv3."),
    ("generate.attention_maker3.bn.", "soft.attention.shallow.bn."),
    ("generate.attn_bap4.pool.", "soft.pool4.pool."),
    ("generate.attn_bap3.pool.", "soft.pool3.pool."),
    ("predictor1.", "predictors.0."),
    ("predictor2.", "predictors.1."),
)
PROJECTIONS = (
    ("generate.embedding_hard_global", "hard.embed_global"),
    ("generate.embedding_hard_part.#", "hard.embed_parts.#"),
    ("generate.embedding_attn_feature4", "soft.embed4"),
    ("generate.em3_1024", "soft.refine3"),
    ("generate.embedding_attn_feature3", "soft.embed3"),
    ("generate.attn_bap4.embedding_layer.#", "soft.pool4.embed.#"),
    ("generate.attn_bap3.embedding_layer.#", "soft.pool3.embed.#"),
)
FUSION_BLOCKS = (
    ("fusion.merge", "fusion.parts"),
    ("fusion.output_part", "fusion.hard"),
    ("fusion.output_attn", "fusion.soft"),
    ("fusion.output", "fusion.joint"),
)
HEADS = (
    ("hard_global_head", "heads.hard_global"),
    ("hard_part_head.#", "heads.hard_part_#"),
    ("attn_feature4_head", "heads.attn4"),
    ("attn_feature3_head", "heads.attn3"),
    ("attn_bap_feature4_head", "heads.bap4"),
    ("attn_bap_feature3_head", "heads.bap3"),
    ("fusion_feat_head", "heads.fusion"),
)
INSIDE = (
    (PROJECTIONS, ((".embedding.", ".conv."), (".bn.", ".bn."))),
    (FUSION_BLOCKS, ((".0.", ".conv1."), (".1.", ".conv3."), (".2.", ".bn."))),
    (HEADS, ((".weight", ".classifier.weight"), (".pool_layer.", ".pool."), (".bottleneck.0.", ".neck."))),
)
TABLE = (
    *LAYERS,
    *((a + x, b + y) for blocks, names in INSIDE for a, b in blocks for x, y in names),
)
"""Beginnings of names, the authors' (KuilongCui/MDPR 89d9737) and ours; ``#`` stands for a number."""


def mdpr_from_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns an authors' state under the names of our ``MDPRNetwork``.

    Raises:
        ValueError: naming the tensors that the table doesn't know.
    """
    return rename(state, TABLE, network="MDPR")


def mdpr_to_authors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns a state of our ``MDPRNetwork`` under the authors' names.

    Raises:
        ValueError: naming the tensors that the table doesn't know.
    """
    return rename(state, [(ours, theirs) for theirs, ours in TABLE], network="MDPR")
