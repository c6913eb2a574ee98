"""What the origin's Odoo prints with, held against what the recovery host has."""

from tasks.build import programs_compared

ORIGIN = """\
program wkhtmltopdf
program wkhtmltoimage
program rtlcss
version wkhtmltopdf 0.12.5 (with patched qt)
font DejaVu Sans
font Lato,Lato Black
"""


def test_a_host_that_cannot_print_is_no_stand_in() -> None:
    origin, bare = programs_compared.read(ORIGIN), programs_compared.read("")

    assert programs_compared.wrong(origin, bare) == ["wkhtmltoimage", "wkhtmltopdf", "any font"]
    assert programs_compared.remarks(origin, bare, "due") == [
        "due lacks programs that the origin has: rtlcss"
    ]
    assert programs_compared.wrong(bare, bare) == programs_compared.wrong(bare, origin) == []


def test_another_build_of_the_same_program_is_wrong_and_another_release_is_said() -> None:
    origin = programs_compared.read(ORIGIN)
    debians = programs_compared.read(ORIGIN.replace("0.12.5 (with patched qt)", "0.12.6"))
    newer = programs_compared.read(
        ORIGIN.replace("0.12.5", "0.12.6").replace("font DejaVu Sans\n", "")
    )

    assert programs_compared.wrong(origin, debians) == ["wkhtmltopdf with patched qt"]
    assert programs_compared.wrong(origin, newer) == []
    assert programs_compared.remarks(origin, newer, "due") == [
        "due has wkhtmltopdf 0.12.6 and the origin 0.12.5: pages may break elsewhere",
        "due lacks fonts: DejaVu Sans",
    ]
    assert (
        programs_compared.wrong(origin, origin)
        == programs_compared.remarks(origin, origin, "due")
        == []
    )
