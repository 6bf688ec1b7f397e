"""What is said of the baseline to people."""

from pipeline.methods.words import Words

ABOUT = {
    "baseline": Words(
        sentence="The strong baseline of the field: one network, one vector, identity and triplet loss.",
        citations=(
            """@inproceedings{luo2019bag,
  title     = {Bag of Tricks and a Strong Baseline for Deep Person Re-Identification},
  author    = {Luo, Hao and Gu, Youzhi and Liao, Xingyu and Lai, Shenqi and Jiang, Wei},
  booktitle = {IEEE/CVF Conference on Computer Vision and Pattern Recognition Workshops},
  year      = {2019}
}""",
        ),
    ),
}
