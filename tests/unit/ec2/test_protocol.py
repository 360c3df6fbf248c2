"""Parameters and answers, against Amazon's own library: what it writes is read, what we write it reads."""

from __future__ import annotations

import datetime as dt
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore import parsers, serialize
from botocore.model import ListShape, Shape, StructureShape
from hypothesis import given
from hypothesis import strategies as st

from kilonova.ec2 import errors
from kilonova.ec2.actions import ACTIONS
from kilonova.ec2.filters import at, filtered, matcher
from kilonova.ec2.ids import INSTANCE
from kilonova.ec2.paging import paged
from kilonova.ec2.protocol.answer import error_xml, xml
from kilonova.ec2.protocol.model import operation
from kilonova.ec2.protocol.request import parameters, read

WHEN = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
SAMPLES: dict[str, Any] = {"string": "a b&<>é", "integer": 7, "long": 1 << 40, "boolean": True, "float": 1.5, "double": 2.5,
                           "timestamp": WHEN, "blob": b"\x00\xff"}  # fmt: skip


def sample(shape: Shape, depth: int = 4) -> Any:
    """A value of this shape with every member that is not too deep."""
    if isinstance(shape, StructureShape):
        return {name: sample(inner, depth - 1) for name, inner in shape.members.items() if depth}
    if isinstance(shape, ListShape):
        return [sample(shape.member, depth)] * 2 if depth else []
    return SAMPLES[shape.type_name]


def sent(name: str, values: dict[str, Any]) -> dict[str, str]:
    """As a client's form."""
    body = serialize.create_serializer("ec2", False).serialize_to_request(values, operation(name))["body"]
    return {key: str(value) for key, value in body.items()}


def without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: found for key, inner in value.items() if (found := without_empty(inner)) not in ({}, [])}
    return [without_empty(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "name", [*sorted(ACTIONS), "RunInstances", "DescribeInstances", "AuthorizeSecurityGroupIngress"]
)
def test_what_the_library_writes_is_read(name: str) -> None:
    values = without_empty(sample(operation(name).input_shape))
    values.pop("DryRun", None)
    assert without_empty(read(operation(name), sent(name, values))) == values


@pytest.mark.parametrize("name", [*sorted(ACTIONS), "RunInstances", "DescribeInstances", "CreateImage"])
def test_what_we_write_the_library_reads(name: str) -> None:
    shape = operation(name).output_shape
    values = without_empty(sample(shape)) if shape is not None else {}
    body = xml(operation(name), "2016-11-15", "req-1", values)
    answer = {"body": body, "status_code": 200, "headers": {}}
    found = parsers.create_parser("ec2").parse(answer, shape) if shape is not None else {"ResponseMetadata": {}}
    assert found.pop("ResponseMetadata").get("RequestId", "req-1") == "req-1"
    assert without_empty(found) == values
    ElementTree.fromstring(body)


def test_members_that_the_output_has_not() -> None:
    with pytest.raises(TypeError, match="has no"):
        xml(operation("DescribeRegions"), "2016-11-15", "r", {"Region": []})


@given(st.text())
def test_any_text_is_text(text: str) -> None:
    body = xml(operation("CreateKeyPair"), "2016-11-15", "r", {"KeyName": text})
    found = ElementTree.fromstring(body).findtext("{*}keyName") or ""
    assert len(found) == len(text.replace("\r\n", "\n")) or "\r" in text
    root = ElementTree.fromstring(error_xml(errors.coded("X", text), text, "")[0])
    assert [each.tag for each in root.iter()] == ["Response", "Errors", "Error", "Code", "Message", "RequestID"]


REFUSED = [
    ({"MinCount": "1"}, errors.MissingParameter, "MaxCount"),
    ({"MinCount": "x", "MaxCount": "1"}, errors.InvalidParameterValue, "MinCount"),
    ({"MinCount": "99999999999", "MaxCount": "1"}, errors.InvalidParameterValue, "MinCount"),
    ({"MinCount": "١", "MaxCount": "1"}, errors.InvalidParameterValue, "MinCount"),
    ({"MinCount": "1", "MaxCount": "1", "Wrong": "1"}, errors.UnknownParameter, "Wrong"),
    ({"MinCount": "1", "MaxCount": "1", "Placement.Wrong": "1"}, errors.UnknownParameter, "Placement.Wrong"),
    ({"MinCount": "1", "MaxCount": "1", "Placement": "1"}, errors.InvalidParameterValue, "Placement"),
    ({"MinCount": "1", "MaxCount": "1", "ImageId.1": "1"}, errors.UnknownParameter, "ImageId.1"),
    ({"MinCount": "1", "MaxCount": "1", "ImageId.": "1"}, errors.UnknownParameter, "ImageId."),
    ({"MinCount": "1", "MaxCount": "1", "SecurityGroupId.x": "1"}, errors.UnknownParameter, "SecurityGroupId.x"),
    ({"MinCount": "1", "MaxCount": "1", "SecurityGroupId.1234567": "1"}, errors.UnknownParameter, "SecurityGroupId"),
    ({"MinCount": "1", "MaxCount": "1", ".".join("a" * 50): "1"}, errors.UnknownParameter, "a.a"),
    ({"MinCount": "1", "MaxCount": "1", "EbsOptimized": "maybe"}, errors.InvalidParameterValue, "EbsOptimized"),
]  # fmt: skip


@pytest.mark.parametrize(("form", "kind", "name"), REFUSED, ids=range(len(REFUSED)))
def test_forms_that_are_refused(form: dict[str, str], kind: type[errors.Ec2Error], name: str) -> None:
    with pytest.raises(kind) as caught:
        read(operation("RunInstances"), form)
    assert name in caught.value.message


@pytest.mark.parametrize("text", ["a=%ff", "a=1&a=2", "&".join(f"a{n}=" for n in range(5000))])
def test_queries_that_are_refused(text: str) -> None:
    with pytest.raises(errors.MalformedQueryString):
        parameters(text)


@pytest.mark.parametrize(
    ("wanted", "texts"),
    [
        (["a*"], {"a": True, "ab\nc": True, "ba": False}),
        (["a?c"], {"abc": True, "ac": False}),
        ([r"a\*"], {"a*": True, "ab": False}),
        (["x", "y"], {"y": True, "z": False}),
        (["(a+)+$"], {"(a+)+$": True, "aaa": False}),
        ([], {"": False}),
    ],
)
def test_values_with_wildcards(wanted: list[str], texts: dict[str, bool]) -> None:
    fits = matcher(wanted)
    assert {text: fits(text) for text in texts} == texts


def test_filters() -> None:
    items = [
        {"Id": "a", "State": {"Name": "on"}, "Tags": [{"Key": "k", "Value": "v"}], "Root": True},
        {"Id": "b", "State": {"Name": "off"}, "Tags": [], "Parts": [{"Id": "p"}, {"Id": "q"}]},
    ]
    known = {"state": at("State", "Name"), "part": at("Parts", "Id"), "root": at("Root")}

    def ids(**filters: list[str]) -> list[str]:
        given = [{"Name": name.replace("_", "-"), "Values": values} for name, values in filters.items()]
        return [item["Id"] for item in filtered(items, given, known)]

    assert ids() == ["a", "b"]
    assert ids(state=["o*"], part=["q"]) == ["b"]
    assert ids(tag_key=["k"]) == ids(root=["true"]) == ["a"]
    assert [item["Id"] for item in filtered(items, [{"Name": "tag:k", "Values": ["v"]}], known)] == ["a"]
    assert filtered(items, [{"Name": "tag:K", "Values": ["v"]}], known) == []
    with pytest.raises(errors.InvalidParameterValue):
        ids(other=["x"])


def test_pages() -> None:
    items = list(range(12))
    first, token = paged(items, {"MaxResults": 5})
    second, after = paged(items, {"MaxResults": 5, "NextToken": token})
    last, end = paged(items, {"MaxResults": 5, "NextToken": after})
    assert (first + second + last, end) == (items, None)
    for params in ({"MaxResults": 4}, {"MaxResults": 1001}, {"NextToken": "?"}, {"NextToken": "YXQgLTE="}):
        with pytest.raises(errors.InvalidParameterValue):
            paged(items, params)
    with pytest.raises(errors.InvalidParameterCombination):
        paged(items, {"MaxResults": 5, "Ids": ["x"]}, ids="Ids")


def test_ids_are_those_of_the_other_services() -> None:
    uuid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
    assert INSTANCE.id(uuid) == "i-0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    assert INSTANCE.uuid(INSTANCE.id(uuid)) == uuid
    for wrong, code in (
        ("i-00abcdef", "NotFound"),
        ("i-xyz", "Malformed"),
        ("vol-00abcdef", "Malformed"),
        ("", "Malformed"),
    ):
        with pytest.raises(errors.CodedError) as caught:
            INSTANCE.uuid(wrong)
        assert caught.value.code == f"InvalidInstanceID.{code}"
