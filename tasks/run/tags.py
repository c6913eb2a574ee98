"""The tags by which Prefect's deployments and runs are found again."""

MANAGED = "relevo"
SCHEDULED = "scheduled"
OWNER = "instance:"
ANY = "any-instance"  # of prefect.yaml


def tag(name: str) -> str:
    """The tag by which an instance's deployments are found."""
    return f"{OWNER}{name}"
