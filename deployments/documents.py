"""The document of each command that has one: it is documented, and held, by standing here."""

from deployments import machine, machine_setup

DOCUMENTS: dict[str, type[machine.Document]] = {
    "status": machine.StatusDocument,
    "check": machine.CheckDocument,
    "plan": machine.PlanDocument,
    "list": machine.ListDocument,
    "history": machine.HistoryDocument,
    "discover": machine_setup.DiscoverDocument,
    "doctor": machine_setup.DoctorDocument,
    "replicate": machine_setup.ReplicateDocument,
}
