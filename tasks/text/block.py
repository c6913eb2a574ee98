"""A block of lines in somebody else's file, between two marks."""


def put(text: str, *, name: str, lines: str) -> str:
    r"""Put a named block first in a file, in place of its former self.

    >>> print(put("a\n# relevo vps_1: begin\nold\n# relevo vps_1: end\n", name="vps_1", lines="new\n"))
    # relevo vps_1: begin
    new
    # relevo vps_1: end
    a
    <BLANKLINE>
    """
    begin, end = f"# relevo {name}: begin", f"# relevo {name}: end"
    return f"{begin}\n{lines.rstrip()}\n{end}\n" + without(text, name=name)


def without(text: str, *, name: str) -> str:
    r"""Take a named block out of a file.

    >>> without("a\n# relevo x: begin\nb\n# relevo x: end\nc\n", name="x")
    'a\nc\n'
    """
    begin, end = f"# relevo {name}: begin", f"# relevo {name}: end"
    kept, inside = [], False
    for line in text.splitlines(keepends=True):
        if line.strip() == begin:
            inside = True
        if not inside:
            kept.append(line)
        if line.strip() == end:
            inside = False
    return "".join(kept)
