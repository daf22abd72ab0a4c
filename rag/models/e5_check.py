"""Tries an unpacked e5 folder: does it give the vectors that it must?

The reference vectors come from the engine for which the 4-bit file was made. They catch what
no hash can: an installed library that reads the folder in another way than was tested.
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer
from transformers.utils import logging

QUERY = "每瓦性能 performance per watt"
PASSAGE = "ＲＴＸ ４０９０ 的功耗上限为 450 W，显存 24 GB；10～35 ℃。"
# float16, little-endian: the vector of QUERY as a query, then of PASSAGE as a passage
_REFERENCE = """
5SippwCq1qf9LCynvSfxKWssT6cfKaSfrymmoq2sWSWGLXuo4aoprREmhhniqvwoCi09KCqtZhTYKhSwYKuyqHEp8amq
LcsoN64MqvAqv6yCoMWc3CIWLRMNQSeGqicfmKcCGaSq7yn8KdQobSZwq7UcfK0lrZUstC2DnH0aKClhLqos1AUkIb+q
36TZpwcoqh96rUMbZCXLLV+ocyeMqD2oOKropGQgPKwHLWorWax0KnaZSyiWJOup1Z5JrRir8Jz2LAIrT6V3LeGrXR/v
rh2l5yojLDSscihArKagdyi3IyErB6hDqoecH6rwJPmoxCeLqSmszafKo8msQCdhK36qzym6KKEkGiKfKk0moC0GqvGa
GaOsqWyqVCuxqpErKCoxLLctdaqYKoao0SQsqQ8uxSStKEOqTKxxplIs4Cr0qi6tCK18o6OsyqmFIN4og619qqSnyiwN
qM8pNaBtKO+ofiR7L68lh6xwHr2nVayFqgOsm6UnKh4fDp0cH8Qpgqqxp9ml3Rz8qdksaikYKWGCO6z4IvSgOC2gpOis
MS2Uppgl6yo1qwyoNCuQIrmheqfhIqKmjSnyIUif16RprY+jJS6EKkap+Ko+LfCouqmJrGWrlKrYq/GopyzvJdSsKx9T
rJ4qJq3iLJCpdqVxoSIgdivMKUuqd6UTqb2qJSRzLOwqiaqsJRkqq5qYK+EnwyxNJ4upM6shrTOnBKyWJR0qrqifrKmc
gCqyLlirXqXYKhEoWyziJT8ph6gUpksrLadzFOeppKuwFgCnFS9FLFqJ3ypxq7YnlJ2yJOEeWiXsqSoslqJAHSqgeSwo
LjIru6nuICSaOydkJcgrV6kKrIqrFq23pp6sNy1ILY2sUKreLJAmSCaZpOKsYig1rAKtzqxmKj2qZ6teKWUtGKrVKL6o
qqvbIgilO6hVKWso364lJ58pO6yCJvCo6auNK9wqX6bApRoprCr4KpMqAR1WJnEd56zvLLgkVqleKnClmau8rNwowqow
qoUn8i0ZLsgs2iYVHE2rriACLySkXaAYKDYwT6n4JFGp3yzuqFGqEpqPKzaYS6jGrWQrfRv/rF4qHywwKa6opyIJLAqt
Lqauqk8mfas2LN8kR6oVrD0p06v8HQGkiKFBLewlZCkyqpUr75IbqGGkDiqJIC8qtaghq2ynqKwVrKwhYC1goxonaSch
L7AsnyHlKYKni6n7nKQpzidPqFEmTR1tLc6ePiojqRWuhBsNne4qGKqkKpArHqsxJUkmAyraLK+egKIYrLeq2qW5KUsq
jaGkLDWqWZyYrhiseivVLSypB6DTpMGqpqBRKE8s1qqbqGUneqoNpJ+qhZxphDKmUKewrNCpQCohK/+seiiBK0ssapkH
K94pMi+/q3ukzKtTqXOlBS31q6koySvwJ3cv5ae6Lf2pxycqqSot7iy3KCyrYqjqqZws1CmErHGthqmBq7OtAq0Jot0r
Da+VITanXSv7IUEq5iGsJTqpEaNuLzMqlKZqqLqpRKv5qNyoa6ISI6ugjZ2RqKcrtqomqHap+40eqXYo7yGzK5ikiaVW
JB2lESh1I8ysRiwCqAImGih+qk6snCsPrRYecKDxKleoLSQmIpMSGKKtrVKj7ywdncKpZKqIJnusWJ2krAisJayUrQOi
JyoOKpeuyKN3rM6iLKvaKxCnlqsBKK0ZMivIJu6sdKIbrYYTNSfnKVItLaVMKasnpqYQLOApei2VpFyquaqYqyyoFazq
KJ4uHKwcqRCseSsxLYCpbKojKdohQy7XD9MsMKuXpqkq5KDEqakJFqXMJi6p0iz8IeQkkCo4rwOh8KktkUssW6csrj8s
IZ0aJP4jnyoqLS0qwqdLqPmUlihtJNYpRae8pyar9KsIpJ+sYC1jKuusbKPALHUqoCm3oFSqEixKqkqpUqonJWCuEaRn
JZouHqbQKtKmxawqIQsjVaUEJQYoUaz0KWYtEqlxKHelpqu/LBEpPKxKoQAmoit0LUQc1KEon9YqLKygLBso6qoYJfGs
nqzwpvEon6xQq3goFykxLNEn
"""


def cosine_with_reference(folder: Path) -> float:
    """Return the smaller cosine of two texts' vectors with what they must be; 1 is best."""
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # ours is on the screen
    try:
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    finally:
        if bars:
            logging.enable_progress_bar()
    found = np.stack([model.encode_query(QUERY), model.encode_document(PASSAGE)])
    wanted = np.frombuffer(b64decode(_REFERENCE), "<f2").reshape(2, -1).astype(np.float32)
    lengths = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    return float(((found * wanted).sum(axis=1) / lengths).min())
