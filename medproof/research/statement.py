"""Questions that are asked again and again: their SQL is compiled once, and only its values change.

Ibis takes several milliseconds to compile an expression, which is longer than DuckDB takes to answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import ibis
import sqlglot.expressions as sge
from ibis import BaseBackend
from ibis.expr.types import IntegerScalar, Scalar

__all__ = ["Build", "Value", "compiled", "executed"]

Value = int | str | date | datetime
Build = Callable[[Mapping[str, Any]], IntegerScalar]  # an expression of named values

# What stands for a value while its statement is compiled: nothing that a statement says of itself.
_NUMBER, _TEXT, _DAY, _TIME = 1_987_654_000, "\ue000", date(8765, 1, 1), datetime(8765, 1, 1, tzinfo=UTC)


def executed(build: Build, values: Mapping[str, Value]) -> int:
    """A question's answer on whatever engine it is about."""
    return int(build({name: ibis.literal(value, _type(value)) for name, value in values.items()}).execute())


def compiled(engine: BaseBackend, build: Build, values: Mapping[str, Value]) -> str:
    """A question's SQL, with a named parameter for each value."""
    marks = {name: _mark(value, number) for number, (name, value) in enumerate(values.items())}
    compiler = engine.compiler
    nodes = {_node(compiler, marks[name]): name for name in values}
    whole = compiler.to_sqlglot(build(marks))

    def replaced(node: sge.Expr) -> sge.Expr:
        name = nodes.get(node)
        return node if name is None else sge.Placeholder(this=name)

    return str(whole.transform(replaced).sql(dialect=engine.dialect))


def _mark(value: Value, number: int) -> Scalar:
    mark: Value = _NUMBER + number
    if isinstance(value, str):
        mark = f"{_TEXT}{number}"
    elif isinstance(value, datetime):
        mark = _TIME + timedelta(days=number)
    elif isinstance(value, date):
        mark = _DAY + timedelta(days=number)
    return ibis.literal(mark, _type(value))


def _node(compiler: Any, mark: Scalar) -> sge.Expr:
    [selected] = compiler.to_sqlglot(mark).expressions
    return selected.unalias() if isinstance(selected, sge.Expr) else selected


def _type(value: Value) -> str:
    if isinstance(value, datetime):
        return "timestamp('UTC')"
    if isinstance(value, str):
        return "string"
    return "date" if isinstance(value, date) else "int64"
