"""What is said of MSKD to people."""

from pipeline.methods.words import Words

ABOUT = {
    "mskd": Words(
        sentence="MSKD: trained without labels from clusters that are found anew every epoch, perhaps by a teacher.",
        citations=(
            """@article{lan2022learning,
  title   = {Learning to Purification for Unsupervised Person Re-identification},
  author  = {Lan, Long and Teng, Xiao and Zhang, Jing and Zhang, Xiang and Tao, Dacheng},
  journal = {arXiv preprint arXiv:2204.09931},
  year    = {2022}
}""",
            """@article{dai2021cluster,
  title   = {Cluster Contrast for Unsupervised Person Re-Identification},
  author  = {Dai, Zuozhuo and Wang, Guangyuan and Yuan, Weihao and Liu, Xiaoli and Zhu, Siyu and Tan, Ping},
  journal = {arXiv preprint arXiv:2103.11568},
  year    = {2021}
}""",
        ),
    ),
}
