"""The version that our programs on the hosts are of: written into each, and read from there."""

import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath

from blocks.version import VERSION
from tasks.filestore import rsync_gate
from tasks.install import programs, traces, zipapp
from tasks.install.release import VERSIONS
from tasks.readiness.compatibility_rules import Pair, Side, remarks

UNO = Side("uno", "13.9", "2.31", 0, 9 << 30, True, True, programs=(VERSION, VERSION))
DUE = replace(UNO, name="due")
FOLDER = PurePosixPath("/srv")


def _versions(*paths: Path) -> list[str]:
    argv = ("sh", "-c", VERSIONS, "versions", *map(str, paths))
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()


def test_every_program_for_hosts_says_its_version_and_still_runs(tmp_path: Path) -> None:
    main = rsync_gate.render(instance="vps_1", read=[FOLDER], write=[FOLDER], until=FOLDER)
    texts = {name: programs.script(name) for name in ("fresh_start.sh", "right.sh", "door.py")}
    packed = {name: zipapp.pack(name) for name in ("filestore", "guard", "synchronous")}
    packed["gate"] = zipapp.pack("gate", main=main)
    written = {**packed, **{name: text.encode() for name, text in texts.items()}}
    paths = [tmp_path / name for name in written]
    for path, content in zip(paths, written.values(), strict=True):
        path.write_bytes(content)
        assert content.startswith(b"#!"), path

    assert _versions(*paths) == [VERSION] * len(paths)
    argv = ("python3", "-I", str(tmp_path / "filestore"), "--help")
    assert "reconcile" in subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def test_a_program_of_before_is_of_an_unknown_version_and_one_that_is_not_there_of_none(
    tmp_path: Path,
) -> None:
    older, packed, odd = tmp_path / "right", tmp_path / "guard", tmp_path / "odd"
    older.write_text("#!/bin/sh\n# Written by Relevo: the forced command\n")
    packed.write_bytes(b"#!/usr/bin/python3 -I\nPK\x03\x04\x00\xff" + bytes(range(256)) * 50)
    odd.write_text("#!/bin/sh\n# Relevo 0.2.0; and what a breached server would like to say\n")

    assert _versions(older, packed, odd, tmp_path / "missing") == ["unknown"] * 3


def test_programs_of_another_version_are_a_remark_for_each_server() -> None:
    assert remarks(Pair(UNO, DUE)) == []
    former = replace(UNO, programs=("0.0.9", VERSION))
    oldest = replace(DUE, programs=("unknown", "0.0.9", "unknown"))
    assert remarks(Pair(former, oldest)) == [
        f"programs of {listed}, this runner has {VERSION}: run replicate"
        for listed in ("0.0.9 on uno", "0.0.9 and an unknown version on due")
    ]


def test_what_is_asked_for_its_version_goes_with_the_last_instance() -> None:
    assert {"fresh-start", "guard", "right", "door", "filestore.pyz", "synchronous"} <= {
        *traces.PROGRAMS
    }
