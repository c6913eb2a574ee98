"""What the origin's Odoo prints with, held against what the recovery host has."""

from tasks.read import programs

ORIGIN = """\
program wkhtmltopdf
program wkhtmltoimage
program rtlcss
version wkhtmltopdf 0.12.5 (with patched qt)
font DejaVu Sans
font Lato,Lato Black
"""


def test_a_host_that_cannot_print_is_no_stand_in() -> None:
    origin, bare = programs.read(ORIGIN), programs.read("")

    assert programs.wrong(origin, bare) == ["wkhtmltoimage", "wkhtmltopdf", "any font"]
    assert programs.remarks(origin, bare, "due") == [
        "due lacks programs that the origin has: rtlcss"
    ]
    assert programs.wrong(bare, bare) == programs.wrong(bare, origin) == []


def test_another_build_of_the_same_program_is_wrong_and_another_release_is_said() -> None:
    origin = programs.read(ORIGIN)
    debians = programs.read(ORIGIN.replace("0.12.5 (with patched qt)", "0.12.6"))
    newer = programs.read(ORIGIN.replace("0.12.5", "0.12.6").replace("font DejaVu Sans\n", ""))

    assert programs.wrong(origin, debians) == ["wkhtmltopdf with patched qt"]
    assert programs.wrong(origin, newer) == []
    assert programs.remarks(origin, newer, "due") == [
        "due has wkhtmltopdf 0.12.6 and the origin 0.12.5: pages may break elsewhere",
        "due lacks fonts: DejaVu Sans",
    ]
    assert programs.wrong(origin, origin) == programs.remarks(origin, origin, "due") == []
