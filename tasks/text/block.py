"""A block of lines in somebody else's file, between two marks."""


def put(text: str, *, name: str, lines: str) -> str:
    r"""Put a named block in place of its former self, or first in the file.

    >>> print(put("a\n", name="vps_1", lines="new\n"))
    # relevo vps_1: begin
    new
    # relevo vps_1: end
    a
    <BLANKLINE>
    >>> once = put(put("a\n", name="x", lines="1"), name="y", lines="2")
    >>> put(once, name="x", lines="1") == once
    True
    """
    begin, end = f"# relevo {name}: begin", f"# relevo {name}: end"
    block = f"{begin}\n{lines.rstrip()}\n{end}\n"
    before, mark, after = f"\n{text}".partition(f"\n{begin}\n")
    if not mark:
        return block + text
    return f"{before}\n".removeprefix("\n") + block + without(begin + "\n" + after, name=name)


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
