"""ITBench's ground-truth files: four published shapes in, one `GroundTruth` out, and back to version 1.

    v1 flat        groups, aliases, propagations, alerts, fault at the top level (snapshots, older live files)
    v1 enveloped   the same under `spec`
    v2             `spec.entities` and `spec.alerts`, generated; no roles, no chain
    v2 + checks    v2 with `spec.kubernetes` and `spec.opa`, which say nothing about the cause

Owns: shapes and spellings. Loses nothing: ids that dangle stay as they are written. What is wrong with the content
is found by `scenarios.lint`; where files lie is known to whoever reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from harness.errors import Problem
from scenarios.schema import DescribedFault, Edge, GroundTruth, Group, GroupAlert

Shape = Literal["v1 flat", "v1 enveloped", "v2", "v2 + checks", "unknown"]

V1_KEYS = ("groups", "aliases", "propagations", "fault")
SHARED = "version 2 gives its objects no roles, so naming any of them counts as finding the cause"


def shape_of(data: Any) -> Shape:
    """Which of the published shapes a parsed file has."""
    body = _body(data)
    if any(key in body for key in V1_KEYS):
        return "v1 flat" if body is data else "v1 enveloped"
    if "entities" in body:
        return "v2 + checks" if body.get("kubernetes") or body.get("opa") else "v2"
    return "unknown"


def read_ground_truth(data: Any) -> tuple[GroundTruth, list[Problem]]:
    """The ground truth of a parsed file of any shape, and all that could not be read in it.

    Never fails: what is unusable is left out and reported with its field. In version 2, where no object is marked as
    the cause, all objects become root groups that are aliases of each other, and a problem says so."""
    reader = _Reader(_body(data))
    shape = shape_of(data)
    if shape == "unknown":
        return GroundTruth(), [Problem("(top)", _unknown(data), "v1 has groups, v2 has spec.entities")]
    truth = reader.version_2() if shape.startswith("v2") else reader.version_1()
    return truth, reader.problems


def version_1(truth: GroundTruth) -> dict[str, Any]:
    """The flat version 1 document of a ground truth; reading it back gives the same ground truth."""
    return {
        "metadata": {"version": "v1"},
        "fault": [_filled(_fault_document(fault)) for fault in truth.faults],
        "groups": [_filled(_group_document(group)) for group in truth.groups],
        "aliases": [list(alias) for alias in truth.aliases],
        "propagations": [edge.model_dump(exclude_defaults=True) for edge in truth.propagations],
        "alerts": [_filled({"id": alert.alert, "group_id": alert.group}) for alert in truth.alerts],
        "recommended_actions": [],
    }


class _Reader:
    """Reads one body and remembers what was wrong with it."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self.problems: list[Problem] = []

    def version_1(self) -> GroundTruth:
        return GroundTruth(
            groups=tuple(self._groups()),
            aliases=tuple(self._aliases()),
            propagations=tuple(self._propagations()),
            alerts=tuple(self._alerts()),
            faults=tuple(self._faults()),
        )

    def version_2(self) -> GroundTruth:
        groups = []
        for where, entity in self._mappings("entities"):
            metadata = entity.get("metadata")
            metadata = metadata if isinstance(metadata, dict) else {}
            kind, name = _text(entity.get("kind")), _text(metadata.get("name"))
            if not kind or not name:
                self._report(where, "has no kind or no metadata.name; it was left out")
                continue
            namespace = _text(metadata.get("namespace"))
            group_id = "/".join(part for part in (namespace, kind, name) if part)
            pattern = (re.escape(name).replace(r"\-", "-"),)
            groups.append(Group(id=group_id, kind=kind, namespace=namespace, filter=pattern, root_cause=True))
        ids = tuple(dict.fromkeys(group.id for group in groups))
        if len(ids) > 1:
            self._report("entities", SHARED)
        aliases = (ids,) if len(ids) > 1 else ()
        return GroundTruth(groups=tuple(groups), aliases=aliases, alerts=tuple(self._alerts()))

    def _groups(self) -> Iterator[Group]:
        for where, entry in self._mappings("groups"):
            group_id, kind = _text(entry.get("id")), _text(entry.get("kind"))
            if not group_id or not kind:
                self._report(where, "has no id or no kind; it was left out")
                continue
            yield Group(
                id=group_id,
                kind=kind,
                namespace=_text(entry.get("namespace")),
                filter=self._filter(where, entry),
                root_cause=self._flag(where, entry.get("root_cause")),
            )

    def _filter(self, where: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
        given = entry.get("filter")
        patterns = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        texts = tuple(_text(pattern) for pattern in patterns if _text(pattern))
        if texts:
            return texts
        name = _text(entry.get("name"))
        if not name:
            self._report(where, "has neither a filter nor a name, so no object can match it")
            return ()
        return (re.escape(name).replace(r"\-", "-"),)

    def _flag(self, where: str, value: Any) -> bool:
        if value is None or isinstance(value, bool):
            return bool(value)
        yes = _text(value).lower() == "true"
        self._report(f"{where}.root_cause", f"found {value!r}; expected a boolean, read as {yes}")
        return yes

    def _aliases(self) -> Iterator[tuple[str, ...]]:
        for index, entry in enumerate(self._list("aliases")):
            if isinstance(entry, list):
                yield tuple(_text(item) for item in entry if _text(item))
            else:
                self._report(f"aliases[{index}]", f"found {entry!r:.60}; expected a list of group ids")

    def _propagations(self) -> Iterator[Edge]:
        for where, entry in self._mappings("propagations"):
            source, target = _text(entry.get("source")), _text(entry.get("target"))
            if not source or not target:
                self._report(where, "has no source or no target; it was left out")
                continue
            condition, effect = _text(entry.get("condition")), _text(entry.get("effect"))
            yield Edge(source=source, target=target, condition=condition, effect=effect)

    def _alerts(self) -> Iterator[GroupAlert]:
        for where, entry in self._mappings("alerts"):
            name = _text(entry.get("id")) or _text(entry.get("name"))
            if name:
                yield GroupAlert(alert=name, group=_text(entry.get("group_id")))
            else:
                self._report(where, "names no alert; it was left out")

    def _faults(self) -> Iterator[DescribedFault]:
        for _, entry in self._mappings("fault"):
            entity = entry.get("entity")
            yield DescribedFault(
                condition=_text(entry.get("condition")),
                category=_text(entry.get("category")),
                mechanism=_text(entry.get("fault_mechanism")),
                group=_text(entity.get("group_id")) if isinstance(entity, dict) else "",
            )

    def _mappings(self, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for index, entry in enumerate(self._list(key)):
            where = f"{key}[{index}]"
            if isinstance(entry, dict):
                yield where, entry
            else:
                self._report(where, f"found {entry!r:.60}; expected a mapping")

    def _list(self, key: str) -> Sequence[Any]:
        value = self.body.get(key)
        if value is None or isinstance(value, list):
            return value or []
        self._report(key, f"found {value!r:.60}; expected a list")
        return []

    def _report(self, where: str, what: str) -> None:
        self.problems.append(Problem(where, what))


def _body(data: Any) -> Mapping[str, Any]:
    """The part with the content: under `spec` in enveloped files."""
    if not isinstance(data, dict):
        return {}
    spec = data.get("spec")
    return spec if isinstance(spec, dict) else data


def _text(value: Any) -> str:
    """Scalars as stripped text; nothing for anything else."""
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _unknown(data: Any) -> str:
    if not isinstance(data, dict):
        return f"found {type(data).__name__}; expected a mapping"
    return f"found only {', '.join(map(str, list(data)[:8])) or 'nothing'}; expected a ground truth"


def _group_document(group: Group) -> dict[str, Any]:
    document: dict[str, Any] = {"id": group.id, "kind": group.kind, "namespace": group.namespace}
    return document | {"filter": list(group.filter), "root_cause": group.root_cause}


def _fault_document(fault: DescribedFault) -> dict[str, Any]:
    document: dict[str, Any] = {"category": fault.category, "condition": fault.condition}
    return document | {"fault_mechanism": fault.mechanism, "entity": _filled({"group_id": fault.group})}


def _filled(document: dict[str, Any]) -> dict[str, Any]:
    """A document without its empty fields."""
    return {key: value for key, value in document.items() if value not in ("", False, [], {})}
