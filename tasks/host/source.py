"""A program of several modules as one text, which python3 reads from its standard input."""

from pathlib import Path

PROGRAMS = Path(__file__).parents[1] / "programs"
LOAD = """
import sys, types
texts = {texts}
package = sys.modules[{name!r}] = types.ModuleType({name!r})
package.__path__ = []
for name, text in texts.items():
    module = sys.modules[name] = types.ModuleType(name)
    module.__package__ = {name!r}
    exec(compile(text, name, "exec"), module.__dict__)
sys.exit(sys.modules["{name}.__main__"].main(sys.argv[2:]))
"""


def source(name: str, *modules: str) -> str:
    """Join the modules of a package of tasks/programs, in the order in which they import.

    >>> "rights_of" in source("files", "rights", "__main__")
    True
    """
    folder = PROGRAMS / name
    texts = {f"{name}.{each}": (folder / f"{each}.py").read_text() for each in modules}
    return LOAD.format(name=name, texts=texts)


def begin(text: str) -> str:
    """The line of Python that runs such a text; what follows it there is the program's to read.

    A text that was cut off on its way is not run at all.

    >>> begin("sys.exit(0)")
    'import sys; text = sys.stdin.buffer.read(11); exec(text if len(text) == 11 else "sys.exit(4)")'
    """
    size = len(text.encode())
    return (
        f"import sys; text = sys.stdin.buffer.read({size}); "
        f'exec(text if len(text) == {size} else "sys.exit(4)")'
    )
