"""EC2 by boto3, on a whole cloud: what one API makes the other shows, and errors are Amazon's."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.eventually import eventually
from tests.process.cloud.harness import PASSWORD, Api, CloudProcess

ACTION = "Action=DescribeRegions&Version=2016-11-15"


@pytest.fixture(scope="module")
def demo(cloud: CloudProcess) -> Api:
    return cloud.api("demo")


def client(cloud: CloudProcess, api: Api, region: str = "RegionOne", *, secret: str | None = None) -> Any:
    """An EC2 client with a new key of this user."""
    token = api.ok("GET", "identity", "/auth/tokens", headers={"X-Subject-Token": api.token})["token"]
    path = f"/users/{token['user']['id']}/credentials/OS-EC2"
    keys = api.ok("POST", "identity", path, {"tenant_id": token["project"]["id"]})["credential"]
    return boto3.client(
        "ec2", endpoint_url=f"{cloud.url}/ec2/", region_name=region, aws_access_key_id=keys["access"],
        aws_secret_access_key=secret or keys["secret"], config=Config(retries={"max_attempts": 0}, proxies={}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def ec2(cloud: CloudProcess, demo: Api) -> Any:
    """With a network in the default VPC."""
    demo.network("plain", "10.60.0.0/24")
    return client(cloud, demo)


@pytest.fixture(scope="module")
def foreign(cloud: CloudProcess) -> Any:
    """Of a member of another project."""
    admin = cloud.api()
    project = admin.ok("POST", "identity", "/projects", {"project": {"name": "eve"}})["project"]["id"]
    user = {"name": "eve", "password": PASSWORD}
    user_id = admin.ok("POST", "identity", "/users", {"user": user})["user"]["id"]
    (role,) = admin.ok("GET", "identity", "/roles?name=member")["roles"]
    admin.ok("PUT", "identity", f"/projects/{project}/users/{user_id}/roles/{role['id']}")
    return client(cloud, cloud.api("eve"))


@pytest.fixture(scope="module")
def image(demo: Api) -> str:
    return "ami-" + demo.image("img").replace("-", "")


@pytest.fixture(scope="module")
def vpc(cloud: CloudProcess, ec2: Any) -> dict[str, str]:
    """A VPC with a subnet and a way out."""
    cloud.api().external_network("203.0.113.0/24")
    vpc = ec2.create_vpc(CidrBlock="10.66.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.66.1.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    (table,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    ec2.create_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    return {"vpc": vpc, "subnet": subnet, "gateway": gateway, "table": table["RouteTableId"]}


def code(call: Callable[..., Any], **params: Any) -> str:
    """The error that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    return str(caught.value.response["Error"]["Code"])


def uuid(ec2_id: str) -> str:
    digits = ec2_id.rpartition("-")[2]
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def run(ec2: Any, image: str, **params: Any) -> dict[str, Any]:
    given = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1} | params
    return dict(ec2.run_instances(**given)["Instances"][0])


def instance(ec2: Any, instance_id: str) -> dict[str, Any]:
    return dict(ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0])


def reaches(ec2: Any, instance_id: str, state: str) -> dict[str, Any]:
    return eventually(
        lambda: instance(ec2, instance_id), f"not {state}", satisfies=lambda found: found["State"]["Name"] == state
    )


# ---- instances


def test_an_instance_is_a_server(ec2: Any, demo: Api, image: str, vpc: dict[str, str]) -> None:
    ec2.create_key_pair(KeyName="k")
    group = ec2.create_security_group(GroupName="web", Description="d", VpcId=vpc["vpc"])["GroupId"]
    made = run(
        ec2, image, SubnetId=vpc["subnet"], SecurityGroupIds=[group], KeyName="k", UserData="#!/bin/sh\necho é\n",
        PrivateIpAddress="10.66.1.77",
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web <1>"}]}],
    )  # fmt: skip
    found = reaches(ec2, made["InstanceId"], "running")
    server = demo.server(uuid(made["InstanceId"]))
    assert (server["status"], server["name"], server["key_name"]) == ("ACTIVE", "web <1>", "k")
    assert server["metadata"] == {"Name": "web <1>"}
    given = ec2.describe_instance_attribute(InstanceId=made["InstanceId"], Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(given).decode() == "#!/bin/sh\necho é\n"
    assert server["image"]["id"] == uuid(image)
    assert (found["PrivateIpAddress"], found["SubnetId"], found["VpcId"]) == ("10.66.1.77", vpc["subnet"], vpc["vpc"])
    assert [each["GroupId"] for each in found["SecurityGroups"]] == [group]
    assert found["Tags"] == [{"Key": "Name", "Value": "web <1>"}]
    assert demo.ok("GET", "compute", f"/servers/{server['id']}/os-interface")["interfaceAttachments"][0]["fixed_ips"][0][
        "ip_address"] == "10.66.1.77"  # fmt: skip
    assert code(ec2.delete_security_group, GroupId=group) == "DependencyViolation"
    assert code(ec2.delete_subnet, SubnetId=vpc["subnet"]) == "DependencyViolation"
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    demo.wait_gone(server["id"])
    ec2.delete_security_group(GroupId=group)


def test_a_server_is_an_instance(ec2: Any, demo: Api, image: str) -> None:
    server = demo.launch(uuid(image), name="by openstack")
    found = "i-" + server.replace("-", "")
    reaches(ec2, found, "running")
    stopping = ec2.stop_instances(InstanceIds=[found])["StoppingInstances"][0]
    assert (stopping["PreviousState"]["Name"], stopping["CurrentState"]["Name"]) == ("running", "stopping")
    demo.wait(server, "SHUTOFF")
    assert ec2.describe_instance_status(InstanceIds=[found])["InstanceStatuses"] == []
    assert ec2.stop_instances(InstanceIds=[found])["StoppingInstances"][0]["CurrentState"]["Name"] == "stopped"
    ec2.start_instances(InstanceIds=[found])
    demo.wait(server, "ACTIVE")
    ec2.create_tags(Resources=[found], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    ec2.delete_tags(Resources=[found], Tags=[{"Key": "a"}, {"Key": "b", "Value": "other"}])
    assert demo.server(server)["metadata"] == {"b": "2"}
    tags = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [found]}])["Tags"]
    assert [(tag["Key"], tag["Value"], tag["ResourceType"]) for tag in tags] == [("b", "2", "instance")]
    ec2.modify_instance_attribute(InstanceId=found, DisableApiTermination={"Value": True})
    assert demo.server(server)["locked"] is True
    ec2.modify_instance_attribute(InstanceId=found, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[found])
    demo.wait_gone(server)
    assert instance(ec2, found)["State"]["Name"] == "terminated"
    ended = ec2.terminate_instances(InstanceIds=[found])["TerminatingInstances"][0]
    assert ended["CurrentState"]["Name"] == "terminated"
    assert code(ec2.start_instances, InstanceIds=[found]) == "InvalidInstanceID.NotFound"
    assert code(ec2.describe_instances, InstanceIds=["i-00abcdef"]) == "InvalidInstanceID.NotFound"


def test_a_client_token_launches_once(ec2: Any, demo: Api, image: str) -> None:
    params = {"ClientToken": "same", "MaxCount": 2}
    with ThreadPoolExecutor(4) as pool:

        def launch(_: int) -> str:
            try:
                return str(run(ec2, image, **params)["InstanceId"])
            except ClientError as error:
                return str(error.response["Error"]["Code"])

        answers = set(pool.map(launch, range(4))) - {"ConcurrentIdempotentRequest"}
    assert len(answers) == 1
    assert run(ec2, image, **params)["InstanceId"] in answers
    assert (
        code(ec2.run_instances, ImageId=image, MinCount=1, MaxCount=1, ClientToken="same")
        == "IdempotentParameterMismatch"
    )
    mine = [each for each in demo.ok("GET", "compute", "/servers")["servers"] if each["name"].startswith("instance")]
    assert len(mine) == 2
    for each in mine:
        demo.ok("DELETE", "compute", f"/servers/{each['id']}")


def test_pages_and_filters(ec2: Any, demo: Api, image: str) -> None:
    servers = [demo.launch(uuid(image), name=f"page-{number}", metadata={"set": "pages"}) for number in range(6)]
    filters = [{"Name": "tag:set", "Values": ["pag*"]}]
    pages = list(ec2.get_paginator("describe_instances").paginate(Filters=filters, PaginationConfig={"PageSize": 5}))
    found = [each["Instances"][0]["InstanceId"] for page in pages for each in page["Reservations"]]
    assert (len(pages), sorted(map(uuid, found))) == (2, sorted(servers))
    assert code(ec2.describe_instances, Filters=[{"Name": "wrong", "Values": ["x"]}]) == "InvalidParameterValue"
    for server in servers:
        demo.ok("DELETE", "compute", f"/servers/{server}")


# ---- networks


def test_groups_and_their_rules(ec2: Any, demo: Api, vpc: dict[str, str]) -> None:
    group = ec2.create_security_group(GroupName="rules", Description="d", VpcId=vpc["vpc"])["GroupId"]
    ssh = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "x"}],
    }
    peers = {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}
    ping = {"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    made = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[ssh, peers, ping])
    assert len(made["SecurityGroupRules"]) == 3
    assert (
        code(ec2.authorize_security_group_ingress, GroupId=group, IpPermissions=[ssh]) == "InvalidPermission.Duplicate"
    )
    (shown,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert {each["IpProtocol"] for each in shown["IpPermissions"]} == {"tcp", "-1", "icmp"}
    assert shown["IpPermissionsEgress"] == [
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [], "PrefixListIds": [],
         "UserIdGroupPairs": []}
    ]  # fmt: skip
    rules = demo.ok("GET", "network", f"/security-group-rules?security_group_id={uuid(group)}&direction=ingress")
    assert sorted(str(each["protocol"]) for each in rules["security_group_rules"]) == ["None", "icmp", "tcp"]
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[ssh])
    assert code(ec2.revoke_security_group_ingress, GroupId=group, IpPermissions=[ssh]) == "InvalidPermission.NotFound"
    left = [each["SecurityGroupRuleId"] for each in made["SecurityGroupRules"] if each.get("FromPort") != 22]
    ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=left)
    (shown,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert shown["IpPermissions"] == []
    assert (
        code(ec2.create_security_group, GroupName="rules", Description="d", VpcId=vpc["vpc"])
        == "InvalidGroup.Duplicate"
    )
    ec2.delete_security_group(GroupId=group)


def test_a_vpc_is_a_router(ec2: Any, demo: Api, vpc: dict[str, str]) -> None:
    router = demo.ok("GET", "network", f"/routers/{uuid(vpc['vpc'])}")["router"]
    assert router["external_gateway_info"] is not None
    (table,) = ec2.describe_route_tables(RouteTableIds=[vpc["table"]])["RouteTables"]
    assert [(each["DestinationCidrBlock"], each["GatewayId"]) for each in table["Routes"]] == [
        ("10.66.0.0/16", "local"), ("0.0.0.0/0", vpc["gateway"])
    ]  # fmt: skip
    for cidr, expected in (
        ("10.66.1.128/25", "InvalidSubnet.Conflict"), ("10.67.0.0/24", "InvalidSubnet.Range"),
        ("10.66.2.0/8", "InvalidParameterValue"), ("10.66.2.0/30", "InvalidSubnet.Range"), ("x", "InvalidParameterValue"),
    ):  # fmt: skip
        assert code(ec2.create_subnet, VpcId=vpc["vpc"], CidrBlock=cidr) == expected
    assert code(ec2.delete_vpc, VpcId=vpc["vpc"]) == "DependencyViolation"
    assert code(ec2.delete_internet_gateway, InternetGatewayId=vpc["gateway"]) == "DependencyViolation"
    again = {"InternetGatewayId": vpc["gateway"], "VpcId": vpc["vpc"]}
    assert code(ec2.attach_internet_gateway, **again) == "Resource.AlreadyAssociated"


def test_an_interface_is_a_port(ec2: Any, foreign: Any, demo: Api, image: str, vpc: dict[str, str]) -> None:
    made = ec2.create_network_interface(SubnetId=vpc["subnet"], PrivateIpAddress="10.66.1.99", Description="d")
    found = made["NetworkInterface"]
    interface = found["NetworkInterfaceId"]
    assert (found["Status"], found["VpcId"], found["PrivateIpAddress"]) == ("available", vpc["vpc"], "10.66.1.99")
    assert demo.ok("GET", "network", f"/ports/{uuid(interface)}")["port"]["description"] == "d"
    assert code(foreign.delete_network_interface, NetworkInterfaceId=interface) == "InvalidNetworkInterfaceID.NotFound"
    server = run(ec2, image, NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": interface}])["InstanceId"]
    assert reaches(ec2, server, "running")["PrivateIpAddress"] == "10.66.1.99"
    assert code(ec2.delete_network_interface, NetworkInterfaceId=interface) == "InvalidParameterValue"
    filters = [{"Name": "attachment.instance-id", "Values": [server]}]
    (shown,) = ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
    assert (shown["NetworkInterfaceId"], shown["Status"]) == (interface, "in-use")
    ec2.terminate_instances(InstanceIds=[server])
    demo.wait_gone(uuid(server))
    ec2.delete_network_interface(NetworkInterfaceId=interface)


def test_an_address_is_a_floating_ip(ec2: Any, demo: Api, image: str, vpc: dict[str, str]) -> None:
    made = run(ec2, image, SubnetId=vpc["subnet"])["InstanceId"]
    reaches(ec2, made, "running")
    address = ec2.allocate_address(Domain="vpc")
    assert address["PublicIp"].startswith("203.0.113.")
    ec2.associate_address(AllocationId=address["AllocationId"], InstanceId=made)
    assert instance(ec2, made)["PublicIpAddress"] == address["PublicIp"]
    assert code(ec2.release_address, AllocationId=address["AllocationId"]) == "InvalidIPAddress.InUse"
    (shown,) = demo.ok("GET", "network", f"/floatingips?floating_ip_address={address['PublicIp']}")["floatingips"]
    assert shown["fixed_ip_address"] == instance(ec2, made)["PrivateIpAddress"]
    ec2.disassociate_address(PublicIp=address["PublicIp"])
    ec2.release_address(AllocationId=address["AllocationId"])
    ec2.terminate_instances(InstanceIds=[made])
    demo.wait_gone(uuid(made))


# ---- volumes


def volume_reaches(ec2: Any, volume: str, state: str) -> dict[str, Any]:
    return eventually(
        lambda: dict(ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]), f"not {state}",
        satisfies=lambda found: found["State"] == state,
    )  # fmt: skip


def test_volumes_are_those_of_the_volume_service(ec2: Any, foreign: Any, demo: Api, image: str) -> None:
    made = run(ec2, image)["InstanceId"]
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    volume = ec2.create_volume(Size=1, AvailabilityZone=zone)["VolumeId"]
    volume_reaches(ec2, volume, "available")
    reaches(ec2, made, "running")
    ec2.attach_volume(VolumeId=volume, InstanceId=made, Device="/dev/vdc")
    eventually(
        lambda: instance(ec2, made)["BlockDeviceMappings"], "not attached",
        satisfies=lambda found: [each["Ebs"]["VolumeId"] for each in found] == [volume],
    )  # fmt: skip
    (attached,) = demo.ok("GET", "compute", f"/servers/{uuid(made)}/os-volume_attachments")["volumeAttachments"]
    assert attached["volumeId"] == uuid(volume)
    assert code(ec2.delete_volume, VolumeId=volume) == "VolumeInUse"
    assert code(foreign.describe_volumes, VolumeIds=[volume]) == "InvalidVolume.NotFound"
    assert code(foreign.detach_volume, VolumeId=volume) == "InvalidVolume.NotFound"
    ec2.detach_volume(VolumeId=volume)
    volume_reaches(ec2, volume, "available")
    assert code(ec2.detach_volume, VolumeId=volume) == "IncorrectState"
    snapshot = ec2.create_snapshot(VolumeId=volume, Description="d")["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig={"Delay": 1})
    assert code(ec2.delete_volume, VolumeId=volume) == "VolumeInUse"
    copy = ec2.create_volume(SnapshotId=snapshot, AvailabilityZone=zone)["VolumeId"]
    assert volume_reaches(ec2, copy, "available")["SnapshotId"] == snapshot
    ec2.delete_volume(VolumeId=copy)
    ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.terminate_instances(InstanceIds=[made])


def test_an_instance_is_given_volumes_at_its_launch(ec2: Any, demo: Api, image: str) -> None:
    disks = [
        {"DeviceName": "/dev/vda", "Ebs": {"VolumeSize": 2}},
        {"DeviceName": "/dev/vdb", "Ebs": {"VolumeSize": 1, "DeleteOnTermination": True}},
    ]
    made = run(ec2, image, BlockDeviceMappings=disks)["InstanceId"]
    found = reaches(ec2, made, "running")
    volumes = {each["DeviceName"]: each["Ebs"]["VolumeId"] for each in found["BlockDeviceMappings"]}
    sizes = {device: volume_reaches(ec2, volume, "in-use")["Size"] for device, volume in volumes.items()}
    assert sizes == {"/dev/vda": 2, "/dev/vdb": 1}
    assert found["RootDeviceType"] == "ebs"
    ec2.terminate_instances(InstanceIds=[made])
    demo.wait_gone(uuid(made))
    eventually(
        lambda: {each["VolumeId"] for each in ec2.describe_volumes()["Volumes"]}, "volumes are left",
        satisfies=lambda left: not left & set(volumes.values()),
    )  # fmt: skip


def test_metadata_by_token_alone(ec2: Any, demo: Api, image: str) -> None:
    options = {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    made = reaches(ec2, run(ec2, image, MetadataOptions=options)["InstanceId"], "running")
    assert {key: made["MetadataOptions"][key] for key in options} == options
    assert demo.server(uuid(made["InstanceId"]))["metadata"]["ec2:http-tokens"] == "required"
    changed = ec2.modify_instance_metadata_options(InstanceId=made["InstanceId"], HttpTokens="optional")
    assert changed["InstanceMetadataOptions"]["HttpTokens"] == "optional"
    wrong = {"InstanceId": made["InstanceId"], "HttpPutResponseHopLimit": 65}
    assert code(ec2.modify_instance_metadata_options, **wrong) == "InvalidParameterValue"
    ec2.delete_tags(Resources=[made["InstanceId"]])
    assert instance(ec2, made["InstanceId"])["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])


def test_amazons_names_of_types(ec2: Any, demo: Api, image: str) -> None:
    made = run(ec2, image, InstanceType="t2.micro")
    assert made["InstanceType"] == "t2.micro"
    assert made.get("Tags", []) == []
    assert demo.server(uuid(made["InstanceId"]))["flavor"]["original_name"] == "m1.tiny"
    assert (
        code(ec2.run_instances, ImageId=image, InstanceType="wrong", MinCount=1, MaxCount=1) == "InvalidParameterValue"
    )
    ec2.terminate_instances(InstanceIds=[made["InstanceId"]])


# ---- images and keys


def test_images_are_those_of_the_image_service(ec2: Any, demo: Api, image: str) -> None:
    (shown,) = ec2.describe_images(ImageIds=[image])["Images"]
    assert (shown["Name"], shown["State"], shown["Public"]) == ("img", "available", False)
    ec2.modify_image_attribute(ImageId=image, Description={"Value": "a <b>"})
    attribute = ec2.describe_image_attribute(ImageId=image, Attribute="description")
    assert attribute["Description"] == {"Value": "a <b>"}
    assert demo.ok("GET", "image", f"/images/{uuid(image)}")["description"] == "a <b>"
    assert code(ec2.describe_images, ImageIds=["ami-00000000"]) == "InvalidAMIID.NotFound"
    assert code(ec2.deregister_image, ImageId="ami-" + "0" * 32) == "InvalidAMIID.NotFound"


def test_keys_have_amazons_fingerprints(ec2: Any, demo: Api) -> None:
    made = ec2.create_key_pair(KeyName="made")
    assert made["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    (shown,) = ec2.describe_key_pairs(KeyNames=["made"])["KeyPairs"]
    assert shown["KeyFingerprint"] == made["KeyFingerprint"]
    assert len(made["KeyFingerprint"].split(":")) == 20
    public = demo.ok("GET", "compute", "/os-keypairs/made")["keypair"]["public_key"]
    imported = ec2.import_key_pair(KeyName="other", PublicKeyMaterial=" ".join(public.split()[:2]).encode())
    assert len(imported["KeyFingerprint"].split(":")) == 16
    assert ec2.create_key_pair(KeyName="new", KeyType="ed25519")["KeyMaterial"].startswith("-----BEGIN OPENSSH")
    assert code(ec2.import_key_pair, KeyName="bad", PublicKeyMaterial=b"no key") == "InvalidKey.Format"
    assert code(ec2.describe_key_pairs, KeyNames=["gone"]) == "InvalidKeyPair.NotFound"
    for name in ("made", "other", "new", "gone"):
        ec2.delete_key_pair(KeyName=name)


# ---- who may do what


def test_a_foreign_project_finds_nothing(ec2: Any, foreign: Any, image: str, vpc: dict[str, str]) -> None:
    made = run(ec2, image, SubnetId=vpc["subnet"])["InstanceId"]
    group = ec2.create_security_group(GroupName="mine", Description="d")["GroupId"]
    address = ec2.allocate_address()["AllocationId"]
    refused = [
        (foreign.describe_instances, {"InstanceIds": [made]}, "InvalidInstanceID.NotFound"),
        (foreign.stop_instances, {"InstanceIds": [made]}, "InvalidInstanceID.NotFound"),
        (foreign.terminate_instances, {"InstanceIds": [made]}, "InvalidInstanceID.NotFound"),
        (foreign.describe_instance_attribute, {"InstanceId": made, "Attribute": "instanceType"}, "InvalidInstanceID.NotFound"),
        (foreign.describe_security_groups, {"GroupIds": [group]}, "InvalidGroup.NotFound"),
        (foreign.describe_addresses, {"AllocationIds": [address]}, "InvalidAllocationID.NotFound"),
        (foreign.release_address, {"AllocationId": address}, "InvalidAllocationID.NotFound"),
        (foreign.get_console_output, {"InstanceId": made}, "InvalidInstanceID.NotFound"),
        (foreign.create_tags, {"Resources": [made], "Tags": [{"Key": "a", "Value": "b"}]}, "InvalidInstanceID.NotFound"),
        (foreign.delete_security_group, {"GroupId": group}, "InvalidGroup.NotFound"),
        (foreign.create_image, {"InstanceId": made, "Name": "image"}, "InvalidInstanceID.NotFound"),
        (foreign.deregister_image, {"ImageId": image}, "InvalidAMIID.NotFound"),
        (foreign.run_instances, {"ImageId": image, "MinCount": 1, "MaxCount": 1}, "InvalidAMIID.NotFound"),
        (foreign.describe_vpcs, {"VpcIds": [vpc["vpc"]]}, "InvalidVpcID.NotFound"),
        (foreign.create_subnet, {"VpcId": vpc["vpc"], "CidrBlock": "10.66.9.0/24"}, "InvalidVpcID.NotFound"),
        (foreign.delete_subnet, {"SubnetId": vpc["subnet"]}, "InvalidSubnetID.NotFound"),
        (foreign.delete_vpc, {"VpcId": vpc["vpc"]}, "InvalidVpcID.NotFound"),
        (foreign.delete_internet_gateway, {"InternetGatewayId": vpc["gateway"]}, "InvalidInternetGatewayID.NotFound"),
        (foreign.delete_route, {"RouteTableId": vpc["table"], "DestinationCidrBlock": "0.0.0.0/0"},
         "InvalidRouteTableID.NotFound"),
    ]  # fmt: skip
    assert [code(call, **params) for call, params, _ in refused] == [expected for _, _, expected in refused]
    assert foreign.describe_tags()["Tags"] == []
    ec2.terminate_instances(InstanceIds=[made])
    ec2.release_address(AllocationId=address)
    ec2.delete_security_group(GroupId=group)


def test_wrong_secrets_regions_and_actions(cloud: CloudProcess, demo: Api, ec2: Any) -> None:
    assert code(client(cloud, demo, secret="f" * 32).describe_regions) == "AuthFailure"
    assert code(client(cloud, demo, region="elsewhere").describe_regions) == "SignatureDoesNotMatch"
    assert code(ec2.describe_spot_price_history) == "UnsupportedOperation"
    assert code(ec2.describe_regions, DryRun=True) == "DryRunOperation"
    assert code(ec2.run_instances, ImageId="ami-1", MinCount=2, MaxCount=1) == "InvalidParameterCombination"


def test_requests_without_a_signature(cloud: CloudProcess) -> None:
    hostile = [
        ACTION, "", "Action=<script>", "Action=DescribeRegions&AWSAccessKeyId=a&Signature=b&SignatureVersion=2&Timestamp=x",
        f"{ACTION}&X-Amz-Signature=a&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a", "&".join(["a=1"] * 2), "%ff=%fe",
    ]  # fmt: skip
    for query in hostile:
        for given in (f"{cloud.url}/ec2/?{query}", urllib.request.Request(f"{cloud.url}/ec2/", query.encode())):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(given, timeout=20)
            assert caught.value.code in (400, 401, 403)
            body = caught.value.read().decode()
            assert "<Code>" in body
            assert "<script>" not in body


def test_a_request_that_changes_something_is_taken_once(cloud: CloudProcess, ec2: Any) -> None:
    """A stranger who has seen the request can't send it again later."""
    sent: list[Any] = []
    ec2.meta.events.register("before-send.ec2.CreateVpc", lambda request, **_: sent.append(request))
    made = ec2.create_vpc(CidrBlock="10.70.0.0/16")["Vpc"]["VpcId"]
    ec2.delete_vpc(VpcId=made)
    (request,) = sent
    body = request.body.encode() if isinstance(request.body, str) else request.body
    headers = {key: value.decode() if isinstance(value, bytes) else value for key, value in request.headers.items()}

    def answer() -> int:
        again = urllib.request.Request(request.url, body, headers)
        try:
            with urllib.request.urlopen(again, timeout=20) as found:
                text = found.read().decode()
                ec2.delete_vpc(VpcId=text.partition("<vpcId>")[2].partition("<")[0])
                return int(found.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert eventually(answer, "it is taken again and again", satisfies=lambda status: status != 200) == 401


def test_output_of_the_console(ec2: Any, demo: Api, image: str) -> None:
    server = demo.launch(uuid(image))
    demo.wait(server, "ACTIVE")
    found = ec2.get_console_output(InstanceId="i-" + server.replace("-", ""))
    assert isinstance(found["Output"], str)
    demo.ok("DELETE", "compute", f"/servers/{server}")
