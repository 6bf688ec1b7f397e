"""What is said of SMMD and of the baseline that it is compared with to people."""

from pipeline.methods.words import Words

SURVEY = """@article{ye2021deep,
  title   = {Deep Learning for Person Re-identification: A Survey and Outlook},
  author  = {Ye, Mang and Shen, Jianbing and Lin, Gaojie and Xiang, Tao and Shao, Ling and Hoi, Steven C. H.},
  journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
  year    = {2021}
}"""

ABOUT = {
    "smmd": Words(
        sentence="SMMD for visible and infrared images. A reconstruction: of the paper only the abstract is public, so "
        "what goes beyond it is ours, and its tables cannot be reproduced.",
        citations=(
            """@inproceedings{zhang2022self,
  title     = {Self-Mimic Mutual-Distillation for Cross-Modality Person Re-Identification},
  author    = {Zhang, Demao and Hong, Ming and Ye, Zhou and Wang, Zheng and Zhang, Zhizhong and Luo, Xiaotong and \
Xie, Yuan and Qu, Yanyun},
  booktitle = {IEEE International Conference on Multimedia and Expo (ICME)},
  year      = {2022}
}""",
            SURVEY,
        ),
    ),
    "two_stream": Words(
        sentence="The two-stream baseline for visible and infrared images that SMMD is compared with.",
        citations=(SURVEY,),
    ),
}
