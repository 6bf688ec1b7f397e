"""What is said of MDPR to people."""

from pipeline.methods.words import Words

ABOUT = {
    "mdpr": Words(
        sentence="MDPR: a branch that sees stripes and a branch that sees what its attention chooses teach each other.",
        citations=(
            """@article{fu2024mutual,
  title   = {Mutual Distillation Learning For Person Re-Identification},
  author  = {Fu, Huiyuan and Cui, Kuilong and Wang, Chuanming and Qi, Mengshi and Ma, Huadong},
  journal = {arXiv preprint arXiv:2401.06430},
  year    = {2024}
}""",
        ),
    ),
}
