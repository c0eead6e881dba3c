"""The form in which a finished trial leaves its worker: bytes that the driver only has to append.

Owns: serialising a record and packing its traces where processors are many, so that the one driver of a large run
copies bytes instead of encoding records. Does not own: where they are put (`store.py`), what a trial is (`trial.py`).
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import msgspec

from harness.records import Status, TraceRef, TrialRecord
from harness.trace import Event, decode


class Finished(msgspec.Struct, frozen=True, array_like=True):
    """One finished trial, sealed."""

    trial_id: str
    status: Status
    reason: str | None
    cost_usd: float
    record: bytes
    """The record as JSON, without the places of its traces: only the driver knows them."""
    traces: tuple[bytes, ...]
    """Packed traces of all attempts in order, the counted one last; empty where an attempt left none."""

    def line(self, places: Sequence[TraceRef | None]) -> bytes:
        """The record with the places of its traces, as one line of `records.jsonl`."""
        *earlier, last = (place and place.model_dump() for place in places)
        tail = msgspec.json.encode({"trace": last, "earlier_traces": earlier})
        return self.record[:-1] + b"," + tail[1:] + b"\n"


def seal(record: TrialRecord, trace: bytes, earlier: Sequence[bytes] = ()) -> Finished:
    """Serialise a record and pack the traces (JSON lines) of its attempts, the counted one last."""
    return Finished(
        trial_id=record.spec.trial_id,
        status=record.status,
        reason=record.reason,
        cost_usd=record.usage.cost_usd,
        record=record.model_dump_json(exclude={"trace", "earlier_traces"}).encode(),
        traces=tuple(pack(one) for one in (*earlier, trace)),
    )


def pack(trace: bytes) -> bytes:
    """JSON lines of one attempt as one gzip member; nothing stays nothing."""
    return gzip.compress(trace, compresslevel=3, mtime=0) if trace else b""


def unpack(member: bytes) -> list[Event]:
    """The events of one packed trace."""
    return decode(gzip.decompress(member))
