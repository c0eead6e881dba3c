"""Rows of results: filter, group, sort, page.

Owns: the small query language that the official tools share (`filters`, `group_by`, `agg`, `sort_by`,
`limit`, `offset`) and their pagination envelope. Does not own: where rows come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from harness.errors import ToolError
from harness.tools.base import Json, Names

Filters = Annotated[
    dict[str, Any],
    BeforeValidator(lambda value: value or {}),
    WithJsonSchema({"type": "object"}),
]
FILTERS: Any = Field(default_factory=dict, description="column: value or [values]")
GROUP_BY: Any = Field(default_factory=list, description="columns")
SORT_BY: Any = Field(default="", description="column; -column descends")
Limit = Annotated[int, Field(ge=0, le=1000)]
GroupBy = Names
Aggregate = Literal["count", "first", "last", "sum", "mean", "max", "min", "nunique", "list"]

NUMERIC: Mapping[str, Callable[[Sequence[float]], float]] = {
    "sum": sum,
    "mean": fmean,
    "max": max,
    "min": min,
}


def envelope(rows: Sequence[Json], limit: int, offset: int = 0) -> Json:
    """One page of rows in the official envelope; `limit` 0 means all."""
    page = rows[offset : offset + limit] if limit else rows[offset:]
    return {
        "total_count": len(rows),
        "offset": offset,
        "limit": limit,
        "returned_count": len(page),
        "data": list(page),
    }


def cell(row: Json, column: str) -> Any:
    """A row's value in a column; `labels.x` and a label's bare name look into the labels."""
    if column in row:
        return row[column]
    labels = row.get("labels") or {}
    return labels.get(column.removeprefix("labels."))


def filtered(rows: Sequence[Json], filters: Mapping[str, Any]) -> list[Json]:
    """Rows whose cells equal the wanted value, or one of several. Raises ToolError for an unknown column."""
    _check_columns(rows, filters)
    wanted = {
        column: {str(value) for value in (values if isinstance(values, list) else [values])}
        for column, values in filters.items()
    }
    return [row for row in rows if all(str(cell(row, column)) in values for column, values in wanted.items())]


def grouped(rows: Sequence[Json], columns: Sequence[str], aggregate: str) -> list[Json]:
    """One row per distinct combination of `columns`. Raises ToolError for an unknown column."""
    _check_columns(rows, columns)
    groups: dict[tuple[str, ...], list[Json]] = {}
    for row in rows:
        groups.setdefault(tuple(str(cell(row, column)) for column in columns), []).append(row)
    summarised = [
        {column: cell(members[0], column) for column in columns} | _summary(members, columns, aggregate)
        for members in groups.values()
    ]
    return ordered(summarised, "-count") if aggregate == "count" else summarised


def _summary(rows: Sequence[Json], columns: Sequence[str], aggregate: str) -> Json:
    if aggregate == "count":
        return {"count": len(rows)}
    result: Json = {}
    for column in (name for name in rows[0] if name not in columns and name != "labels"):
        values = [row.get(column) for row in rows]
        if aggregate in NUMERIC:
            numbers = [value for value in values if isinstance(value, (int, float))]
            if numbers:
                result[column] = round(NUMERIC[aggregate](numbers), 4)
        elif aggregate == "list":
            result[column] = sorted({str(value) for value in values})
        elif aggregate == "nunique":
            result[column] = len({str(value) for value in values})
        else:
            result[column] = values[0 if aggregate == "first" else -1]
    return result


def ordered(rows: Sequence[Json], sort_by: str) -> list[Json]:
    """Rows by a column, descending with a leading `-`; unchanged without one. Raises ToolError."""
    if not sort_by:
        return list(rows)
    column = sort_by.removeprefix("-")
    _check_columns(rows, [column])
    return sorted(rows, key=lambda row: _sort_key(cell(row, column)), reverse=sort_by.startswith("-"))


def _sort_key(value: Any) -> tuple[int, float, str]:
    """Numbers before texts, so that mixed columns can be sorted."""
    if isinstance(value, (int, float)):
        return (0, float(value), "")
    return (1, 0.0, str(value))


def _check_columns(rows: Sequence[Json], columns: Any) -> None:
    if not rows:
        return
    known = {column for row in rows for column in row}
    known |= {label for row in rows for label in (row.get("labels") or {})}
    unknown = [column for column in columns if column.removeprefix("labels.") not in known]
    if unknown:
        raise ToolError(f"unknown column {', '.join(unknown)}; columns: {', '.join(sorted(known))}")
