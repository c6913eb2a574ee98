"""The version of Relevo: of its package, its command, and its programs on the hosts."""

VERSION = "0.2.0"
