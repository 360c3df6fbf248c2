"""Rows with types: in tests they are compared with what their class says."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, Integer, MetaData, String, Table, create_engine, func, insert, select

from kilonova.core.db import TypedRow, rows

toys = Table(
    "toys", MetaData(), Column("id", Integer, primary_key=True), Column("name", String(10)), Column("label", String(10)),
    Column("sold", Boolean), Column("facts", JSON),
)  # fmt: skip


class ToyKey(TypedRow):
    id: int


class ToyRow(ToyKey):
    name: str
    label: str | None
    sold: bool
    facts: dict[str, Any]


class Renamed(ToyKey):
    title: str


class NeverNull(ToyKey):
    label: str


class OtherType(ToyKey):
    name: dict[str, Any]


@pytest.fixture
def connection():
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        toys.metadata.create_all(connection)
        values = {"name": "ball", "sold": False, "facts": {"size": 3}}
        connection.execute(insert(toys), [values | {"label": None}, values | {"label": "new"}])
        yield connection


def test_rows_are_those_of_the_statement(connection):
    found = rows.every(connection.execute(select(toys).order_by(toys.c.id)), ToyRow)
    assert [(row.id, row.label, row.facts["size"]) for row in found] == [(1, None, 3), (2, "new", 3)]
    first = rows.first(connection.execute(select(toys).where(toys.c.id == 2)), ToyRow)
    assert first is not None
    assert first.name == "ball"
    assert rows.first(connection.execute(select(toys).where(toys.c.id == 3)), ToyRow) is None
    assert rows.one(connection.execute(select(func.count().label("id")).select_from(toys)), ToyKey).id == 2


@pytest.mark.parametrize(
    ("kind", "said"), [(Renamed, r"have \['title'\]"), (NeverNull, "label is None"), (OtherType, "name is 'ball'")]
)
def test_a_class_that_is_not_true_is_an_error(connection, kind, said):
    for read in (rows.every, rows.first):
        with pytest.raises(rows.WrongColumns, match=said):
            read(connection.execute(select(toys).order_by(toys.c.id)), kind)
    assert len(rows.found) == 2
    rows.found.clear()


def test_in_production_nothing_is_compared(connection, monkeypatch):
    monkeypatch.setattr(rows, "checked", False)
    assert len(rows.every(connection.execute(select(toys)), Renamed)) == 2
