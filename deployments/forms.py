"""What a deployment's page and its form say, in the language of the inventory."""

from prefect.deployments.runner import RunnerDeployment

from blocks.names import Language
from tasks.language import catalogue, prose


def tell(deployment: RunnerDeployment, language: Language) -> None:
    """Say the description and the form in a language; what the flow takes stays the same."""
    if language == "en":
        return
    deployment.description = prose.translated(deployment.description or "", language)
    for name, field in deployment._parameter_openapi_schema.properties.items():  # noqa: SLF001  # no other way
        field["title"] = catalogue.labels().get(name, name)
        if text := field.get("description"):
            field["description"] = catalogue.translated(" ".join(text.split()), language)
