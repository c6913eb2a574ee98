"""The tags by which Prefect's deployments and runs are found again, and the board's address."""

MANAGED = "relevo"
SCHEDULED = "scheduled"
OWNER = "instance:"
ANY = "any-instance"  # of prefect.yaml

BOARD = "/v2/artifacts/key/board"  # within the UI


def tag(name: str) -> str:
    """The tag by which an instance's deployments are found."""
    return f"{OWNER}{name}"
