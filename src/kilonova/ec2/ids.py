"""EC2's ids of what other services keep: a prefix and the 32 digits of the id that it has there. So they are the same after every
restart, on every replica, and nothing has to be kept."""

from __future__ import annotations

from typing import NamedTuple

from kilonova.ec2.errors import CodedError, coded


class Kind(NamedTuple):
    """`code` is the beginning of EC2's error codes: InvalidInstanceID.NotFound, InvalidInstanceID.Malformed."""

    prefix: str
    noun: str
    code: str

    def id(self, uuid: str) -> str:
        return f"{self.prefix}-{uuid.replace('-', '').lower()}"

    def uuid(self, ec2_id: str) -> str:
        """Raises CodedError: malformed, or not found where no id of ours looks so."""
        digits = self._digits(ec2_id)
        if len(digits) != 32:
            raise self.not_found(ec2_id)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def hex(self, ec2_id: str) -> str:
        """As `uuid`, for ids without dashes, as projects have them."""
        return self.uuid(ec2_id).replace("-", "")

    def _digits(self, ec2_id: str) -> str:
        prefix, _, digits = ec2_id.partition("-")
        if prefix != self.prefix or not digits or set(digits) - set("0123456789abcdef"):
            raise coded(f"{self.code}.Malformed", f'Invalid id: "{ec2_id[:100]}" (expecting "{self.prefix}-...")')
        return digits

    def not_found(self, ec2_id: str) -> CodedError:
        return coded(f"{self.code}.NotFound", f"The {self.noun} ID '{ec2_id[:100]}' does not exist")


INSTANCE = Kind("i", "instance", "InvalidInstanceID")
RESERVATION = Kind("r", "reservation", "InvalidReservationID")
IMAGE = Kind("ami", "image", "InvalidAMIID")
KERNEL = Kind("aki", "kernel", "InvalidAKIID")
RAMDISK = Kind("ari", "ramdisk", "InvalidARIID")
VOLUME = Kind("vol", "volume", "InvalidVolume")
SNAPSHOT = Kind("snap", "snapshot", "InvalidSnapshot")
VPC = Kind("vpc", "vpc", "InvalidVpcID")
SUBNET = Kind("subnet", "subnet", "InvalidSubnetID")
GROUP = Kind("sg", "security group", "InvalidGroup")
RULE = Kind("sgr", "security group rule", "InvalidSecurityGroupRuleId")
INTERFACE = Kind("eni", "networkInterface", "InvalidNetworkInterfaceID")
ATTACHMENT = Kind("eni-attach", "interface attachment", "InvalidAttachmentID")
ALLOCATION = Kind("eipalloc", "allocation", "InvalidAllocationID")
ASSOCIATION = Kind("eipassoc", "association", "InvalidAssociationID")
GATEWAY = Kind("igw", "internetGateway", "InvalidInternetGatewayID")
ROUTE_TABLE = Kind("rtb", "routeTable", "InvalidRouteTableID")
KEY_PAIR = Kind("key", "key pair", "InvalidKeyPair")
