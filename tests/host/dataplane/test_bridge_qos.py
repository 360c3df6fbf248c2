"""QoS policies on the machine, with namespaces as guests."""

from __future__ import annotations

import pytest

from tests.host.dataplane.qos_conformance import QosConformance

pytestmark = pytest.mark.lab


class TestIptables(QosConformance): ...
