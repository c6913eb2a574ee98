"""The tags by which Prefect's deployments and runs are found again, and the board's address."""

MANAGED = "relevo"
SCHEDULED = "scheduled"
SWITCH = "switch"  # whose schedule says whether the rounds copy its instance
BY_SCHEDULE = "by-schedule"  # a run that another one has started, which a schedule did
HOST = "recovery:"
OWNER = "instance:"
ANY = "any-instance"  # of prefect.yaml
MOVES = "moves"  # whatever changes the place that serves

# Within the UI.
BOARD = "/v2/artifacts/key/board"
BUTTONS = "/v2/deployments/deployment/"


def tag(name: str) -> str:
    """The tag by which an instance's deployments are found."""
    return f"{OWNER}{name}"


def host_tag(recovery: str) -> str:
    """The tag by which the rounds of a recovery host are found."""
    return f"{HOST}{recovery}"
