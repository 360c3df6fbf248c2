"""Amazon's own description of EC2: operations, the shapes of their input and output. It comes with botocore."""

from __future__ import annotations

from functools import cache

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape

__all__ = ["OperationModel", "Shape", "operation", "service"]


@cache
def service() -> ServiceModel:
    """Takes about half a second: not on the event loop."""
    return ServiceModel(Loader().load_service_model("ec2", "service-2"), "ec2")


@cache
def operation(name: str) -> OperationModel:
    return service().operation_model(name)


def query_name(name: str, shape: Shape) -> str:
    """What a member of an input is called in a request."""
    said = shape.serialization
    if "queryName" in said:
        return str(said["queryName"])
    named = str(said.get("name", name))
    return named[:1].upper() + named[1:]
