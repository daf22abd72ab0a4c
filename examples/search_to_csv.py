"""Writes a CSV table of the best page for each question, with nothing but ``rag search --json``.

python search_to_csv.py "Who pays the heating costs?" "终止合同的条件"
"""

import csv
import json
import subprocess
import sys


def best_passages(question: str, *, k: int = 3) -> list[dict[str, object]]:
    """Return what ``rag search`` finds, best first.

    Raises:
        subprocess.CalledProcessError: the command failed; its words are on stderr.
    """
    command = ["rag", "search", question, "--k", str(k), "--json"]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    found: list[dict[str, object]] = json.loads(printed)["passages"]
    return found


if __name__ == "__main__":
    rows = csv.writer(sys.stdout)
    rows.writerow(["question", "document", "page", "score", "passage"])
    for question in sys.argv[1:]:
        for passage in best_passages(question):
            text = " ".join(str(passage["text"]).split())
            rows.writerow(
                [question, passage["document"], passage["page"], passage["score"], text[:120]]
            )
