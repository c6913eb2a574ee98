"""paramiko without invoke, which it imports if it can, and needs for `Match exec` alone.

We read no configuration of ssh's, and invoke takes as long to be imported as all of paramiko.
"""

import sys

_absent = "invoke" not in sys.modules
if _absent:
    sys.modules["invoke"] = None  # type: ignore[assignment]  # as Python says that there is none
try:
    import paramiko
finally:
    if _absent:
        del sys.modules["invoke"]

__all__ = ["paramiko"]
