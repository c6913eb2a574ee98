"""What rsync --stats says."""

import re


def count(stats: str, what: str) -> int:
    r"""
    >>> count("Number of files: 1,204 (reg: 1,000)\nNumber of deleted files: 3", "deleted files")
    3
    >>> count("Number of files: 1,204 (reg: 1,000, dir: 204)\n", "files")
    1204
    """
    found = re.search(rf"^Number of {what}: ([\d,.]+)", stats, re.MULTILINE)
    return int(re.sub(r"[,.]", "", found[1])) if found else 0
