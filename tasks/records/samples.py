"""A sample of how far an origin had written, as it stands in a record."""

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from tasks.postgres.wal import Lsn
from tasks.records.loss import Sample


def _read(found: Any) -> Any:
    """Read a sample; older ones lack the next transaction."""
    if not isinstance(found, list):
        return found
    try:
        at, written, *next_xid = found
        return Sample(float(at), Lsn.parse(written), *map(int, next_xid))
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _written(sample: Sample) -> list[Any]:
    return [sample.at, str(sample.written), sample.next_xid]


Sampled = Annotated[Sample, BeforeValidator(_read), PlainSerializer(_written)]
