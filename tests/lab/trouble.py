"""What the lab says when it cannot go on."""


class LabError(RuntimeError):
    """The lab cannot run on this machine, and why."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"{what}\nHINT: {hint}" if hint else what)
