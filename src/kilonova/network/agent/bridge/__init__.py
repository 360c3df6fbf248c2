"""The Linux bridge data plane: a bridge, a namespace with dnsmasq and a metadata listener for each network."""

from kilonova.network.agent.bridge.driver import BridgeDataPlane
from kilonova.network.agent.bridge.metadata_proxy import MetadataUpstream
from kilonova.network.agent.bridge.options import BridgeOptions

__all__ = ["BridgeDataPlane", "BridgeOptions", "MetadataUpstream"]
