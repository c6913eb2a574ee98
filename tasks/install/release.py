"""The version that a program on a host is of: a comment in its second line."""

from blocks.version import VERSION

# Arguments: programs, of which some may not be there. Says the version of each that is.
VERSIONS = r"""
for program do
    [ -e "$program" ] || continue
    version=$(LC_ALL=C sed -n -e '2s/^# Relevo \([0-9a-z.]\{1,20\}\)$/\1/p' -e 2q "$program")
    echo "${version:-unknown}"
done
"""


def stamped(text: str, *, version: str = VERSION) -> str:
    r"""Write the version below the first line of a program.

    >>> print(stamped("#!/bin/sh\nexit 0\n", version="0.2.0"), end="")
    #!/bin/sh
    # Relevo 0.2.0
    exit 0
    """
    first, _, rest = text.partition("\n")
    return f"{first}\n# Relevo {version}\n{rest}"
