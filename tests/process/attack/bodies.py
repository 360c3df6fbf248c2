"""A valid body for each route that takes one: what the mutations begin with, and what a caller without rights would send."""

from __future__ import annotations

import json
from typing import Any

from kilonova.compute.actions.registry import ACTIONS
from tests.process.attack.volumes import VOLUME_ACTIONS
from tests.process.attack.world import KEY, NOWHERE, PASSWORD, Place, World

PATCH = "application/openstack-images-v2.1-json-patch"
NAMED: dict[str, Any] = {"name": "FRESH"}
LOGIN = {
    "methods": ["password"],
    "password": {"user": {"name": "unscoped", "domain": {"id": "default"}, "password": PASSWORD}},
}
CREDENTIAL = {
    "application_credential": {"name": "FRESH", "roles": [{"name": "member"}], "expires_at": "2099-01-01T00:00:00Z"}
}
ROUTE = {"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}
RULE = {"direction": "ingress", "ethertype": "IPv4", "protocol": "udp", "port_range_min": 1, "port_range_max": 2,
        "remote_ip_prefix": "10.0.0.0/8", "security_group_id": "network security-groups"}  # fmt: skip
RULE_6 = {"direction": "egress", "ethertype": "IPv6", "protocol": "ipv6-icmp", "port_range_min": 128, "port_range_max": 0,
          "remote_ip_prefix": "2001:db8::/32", "security_group_id": "network security-groups"}  # fmt: skip
PORT_6 = {"fixed_ips": [], "allowed_address_pairs": [{"ip_address": "2001:db8::/64", "mac_address": "fa:16:3e:00:00:98"}],
          "extra_dhcp_opts": [{"opt_name": "bootfile-url", "opt_value": "http://[2001:db8::1]/x", "ip_version": 6}]}  # fmt: skip
SUBNET_6 = {"cidr": "2001:db8:77::/64", "ip_version": 6, "network_id": "network networks", "gateway_ip": "2001:db8:77::1",
            "ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful", "dns_nameservers": ["2001:db8::53"],
            "allocation_pools": [{"start": "2001:db8:77::5", "end": "2001:db8:77::9"}],
            "host_routes": [{"destination": "2001:db8:5::/48", "nexthop": "2001:db8:77::3"}]}  # fmt: skip
FIRST_RULE = {"direction": "ingress", "ethertype": "IPv6", "protocol": "tcp", "port_range_min": 5, "port_range_max": 6,
              "remote_group_id": "PARENT", "used_in_default_sg": False, "used_in_non_default_sg": False}  # fmt: skip
PORT = {"name": "x", "fixed_ips": [], "allowed_address_pairs": [{"ip_address": "10.9.9.9"}], "mac_address": "fa:16:3e:00:00:99",
        "device_id": "d", "security_groups": [],
        "dns_name": "a.b", "dns_domain": "example.org.",
        "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}]}  # fmt: skip
SUBNET = {"name": "x", "cidr": "10.77.0.0/24", "ip_version": 4, "network_id": "network networks", "gateway_ip": "10.77.0.1",
          "allocation_pools": [{"start": "10.77.0.5", "end": "10.77.0.9"}], "dns_nameservers": ["9.9.9.9"],
          "host_routes": [{"destination": "10.5.0.0/16", "nexthop": "10.77.0.3"}]}  # fmt: skip
POOL = NAMED | {"prefixes": ["10.8.0.0/16"]}
SERVER = {"name": "x", "imageRef": "image images", "flavorRef": "1", "networks": "none", "metadata": {"a": "b"},
          "user_data": "aGk=", "min_count": 1, "max_count": 1, "config_drive": False, "description": "d",
          "security_groups": [{"name": "default"}], "tags": ["a"], "availability_zone": "nova"}  # fmt: skip
TAGS = {"tags": ["a"]}
SHARING = {"object_type": "security_group", "object_id": "network security-groups", "action": "access_as_shared",
           "target_project": NOWHERE}  # fmt: skip
FORWARDING = {"protocol": "tcp", "external_port_range": "2:3", "internal_port": 22, "internal_ip_address": "10.66.0.9",
              "internal_port_id": "network inside", "description": "x"}  # fmt: skip
ALLOCATION = {"allocations": {NOWHERE: {"resources": {"VCPU": 1}}}, "project_id": "p", "user_id": "u",
              "consumer_generation": None, "consumer_type": "INSTANCE"}  # fmt: skip

SIGNED = {"access": "a", "signature": "b", "verb": "POST", "host": "h", "path": "/",
          "params": {"Timestamp": "2026-01-31T12:00:00Z"},
          "headers": {"Authorization": "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=f"},
          "body_hash": "0"}  # fmt: skip

BODIES: dict[tuple[str, str, str], Any] = {
    ("identity", "POST", "/v3/auth/tokens"): {"auth": {"identity": LOGIN, "scope": "unscoped"}},
    ("identity", "POST", "/v2.0/tokens"): {"auth": {"passwordCredentials": {"username": "unscoped", "password": PASSWORD}}},
    ("identity", "POST", "/v3/users"): {"user": NAMED | {"password": "x", "email": "e", "options": {"lock_password": False}}},
    ("identity", "PATCH", "/v3/users/*"): {"user": {"description": "x", "enabled": True}},
    ("identity", "POST", "/v3/users/*/password"): {"user": {"original_password": "x", "password": "y"}},
    ("identity", "POST", "/v3/groups"): {"group": NAMED | {"description": "x"}},
    ("identity", "PATCH", "/v3/groups/*"): {"group": {"description": "x"}},
    ("identity", "POST", "/v3/projects"): {"project": NAMED | {"tags": ["a"], "domain_id": "default", "enabled": True}},
    ("identity", "PATCH", "/v3/projects/*"): {"project": {"description": "x"}},
    ("identity", "PUT", "/v3/projects/*/tags"): TAGS,
    ("identity", "POST", "/v3/domains"): {"domain": NAMED},
    ("identity", "PATCH", "/v3/domains/*"): {"domain": {"description": "x"}},
    ("identity", "POST", "/v3/roles"): {"role": NAMED},
    ("identity", "PATCH", "/v3/roles/*"): {"role": {"description": "x"}},
    ("identity", "POST", "/v3/regions"): {"region": {"id": "FRESH", "description": "x"}},
    ("identity", "PUT", "/v3/regions/*"): {"region": {"description": "x"}},
    ("identity", "PATCH", "/v3/regions/*"): {"region": {"description": "x"}},
    ("identity", "POST", "/v3/services"): {"service": NAMED | {"type": "x"}},
    ("identity", "PATCH", "/v3/services/*"): {"service": {"description": "x"}},
    ("identity", "POST", "/v3/endpoints"): {
        "endpoint": {"service_id": "identity services", "interface": "public", "url": "http://x"}
    },
    ("identity", "PATCH", "/v3/endpoints/*"): {"endpoint": {"url": "http://y"}},
    ("identity", "POST", "/v3/users/*/application_credentials"): CREDENTIAL,
    ("identity", "POST", "/v3/users/*/credentials/OS-EC2"): {"tenant_id": "PROJECT"},
    ("identity", "POST", "/v3/ec2tokens"): {"credentials": SIGNED},
    ("identity", "POST", "/v3/s3tokens"): {"credentials": {"access": "a", "signature": "b", "token": "QVdTNA=="}},
    ("identity", "POST", "/v3/credentials"): {"credential": {"type": "cert", "blob": "x", "user_id": "USER"}},
    ("identity", "PATCH", "/v3/credentials/*"): {"credential": {"blob": "y"}},
    ("image", "POST", "/v2/images"): NAMED | {
        "disk_format": "raw", "container_format": "bare", "min_ram": 1, "min_disk": 1, "tags": ["a"], "protected": False,
        "visibility": "private", "os_type": "linux",
    },
    ("image", "PATCH", "/v2/images/*"): [
        {"op": "replace", "path": "/name", "value": "x"}, {"op": "add", "path": "/a", "value": "b"}
    ],
    ("image", "POST", "/v2/images/*/members"): {"member": "PROJECT"},
    ("image", "PUT", "/v2/images/*/members/*"): {"status": "accepted"},
    ("network", "POST", "/v2.0/networks"): {
        "network": NAMED | {"description": "d", "mtu": 1400, "admin_state_up": True, "dns_domain": "a.example."}
    },
    ("network", "PUT", "/v2.0/networks/*"): {"network": {"name": "x", "mtu": 1400}},
    ("network", "POST", "/v2.0/subnets"): {"subnet": SUBNET},
    ("network", "PUT", "/v2.0/subnets/*"): {"subnet": {"name": "x", "dns_nameservers": ["9.9.9.9"], "gateway_ip": None}},
    ("network", "POST", "/v2.0/ports"): {"port": PORT | {"network_id": "network networks"}},
    ("network", "PUT", "/v2.0/ports/*"): {"port": PORT},
    ("network", "POST", "/v2.0/routers"): {"router": NAMED | {"admin_state_up": True, "external_gateway_info": None}},
    ("network", "PUT", "/v2.0/routers/*"): {"router": {"name": "x", "routes": [ROUTE]}},
    ("network", "PUT", "/v2.0/routers/*/add_extraroutes"): {"router": {"routes": [ROUTE]}},
    ("network", "PUT", "/v2.0/routers/*/remove_extraroutes"): {"router": {"routes": [ROUTE]}},
    ("network", "PUT", "/v2.0/routers/*/add_router_interface"): {"subnet_id": "network subnets"},
    ("network", "PUT", "/v2.0/routers/*/remove_router_interface"): {"subnet_id": "network subnets"},
    ("network", "POST", "/v2.0/address-groups"): {"address_group": NAMED | {"addresses": ["10.3.0.0/24"]}},
    ("network", "PUT", "/v2.0/address-groups/*"): {"address_group": NAMED},
    ("network", "PUT", "/v2.0/address-groups/*/add_addresses"): {"addresses": ["10.4.0.0/24"]},
    ("network", "PUT", "/v2.0/address-groups/*/remove_addresses"): {"addresses": ["10.3.0.0/24"]},
    ("network", "POST", "/v2.0/address-scopes"): {"address_scope": NAMED | {"ip_version": 4, "shared": False}},
    ("network", "PUT", "/v2.0/address-scopes/*"): {"address_scope": NAMED},
    ("network", "POST", "/v2.0/subnetpools"): {"subnetpool": POOL | {"min_prefixlen": 20, "address_scope_id": None}},
    ("network", "PUT", "/v2.0/subnetpools/*"): {"subnetpool": POOL | {"default_prefixlen": 26, "default_quota": 9}},
    ("network", "PUT", "/v2.0/subnetpools/*/add_prefixes"): {"prefixes": ["10.9.0.0/24"]},
    ("network", "PUT", "/v2.0/subnetpools/*/onboard_network_subnets"): {"network_id": "network networks"},
    ("network", "PUT", "/v2.0/subnetpools/*/remove_prefixes"): {"prefixes": ["10.8.1.0/24"]},
    ("network", "POST", "/v2.0/qos/policies"): {"policy": NAMED | {"shared": False, "is_default": False}},
    ("network", "PUT", "/v2.0/qos/policies/*"): {"policy": NAMED},
    ("network", "POST", "/v2.0/qos/policies/*/bandwidth_limit_rules"): {
        "bandwidth_limit_rule": {"max_kbps": 5, "max_burst_kbps": 6, "direction": "ingress"}
    },
    ("network", "PUT", "/v2.0/qos/policies/*/bandwidth_limit_rules/*"): {"bandwidth_limit_rule": {"max_kbps": 7}},
    ("network", "PUT", "/v2.0/qos/alias_bandwidth_limit_rules/*"): {"alias_bandwidth_limit_rule": {"max_kbps": 7}},
    ("network", "POST", "/v2.0/qos/policies/*/packet_rate_limit_rules"): {
        "packet_rate_limit_rule": {"max_kpps": 5, "max_burst_kpps": 6, "direction": "ingress"}
    },
    ("network", "PUT", "/v2.0/qos/policies/*/packet_rate_limit_rules/*"): {"packet_rate_limit_rule": {"max_kpps": 7}},
    ("network", "PUT", "/v2.0/qos/alias_packet_rate_limit_rules/*"): {"alias_packet_rate_limit_rule": {"max_kpps": 7}},
    ("network", "POST", "/v2.0/qos/policies/*/dscp_marking_rules"): {"dscp_marking_rule": {"dscp_mark": 26}},
    ("network", "PUT", "/v2.0/qos/policies/*/dscp_marking_rules/*"): {"dscp_marking_rule": {"dscp_mark": 26}},
    ("network", "PUT", "/v2.0/qos/alias_dscp_marking_rules/*"): {"alias_dscp_marking_rule": {"dscp_mark": 26}},
    ("network", "POST", "/v2.0/rbac-policies"): {"rbac_policy": SHARING},
    ("network", "PUT", "/v2.0/rbac-policies/*"): {"rbac_policy": {"target_project": NOWHERE}},
    ("network", "POST", "/v2.0/floatingips"): {"floatingip": {"floating_network_id": "network external"}},
    ("network", "POST", "/v2.0/floatingips/*/port_forwardings"): {"port_forwarding": FORWARDING},
    ("network", "PUT", "/v2.0/floatingips/*/port_forwardings/*"): {"port_forwarding": {"external_port": 9}},
    ("network", "PUT", "/v2.0/floatingips/*"): {"floatingip": {"description": "x", "port_id": None}},
    ("network", "POST", "/v2.0/security-groups"): {"security_group": NAMED | {"stateful": True}},
    ("network", "PUT", "/v2.0/security-groups/*"): {"security_group": {"description": "x"}},
    ("network", "POST", "/v2.0/security-group-rules"): {"security_group_rule": RULE},
    ("network", "POST", "/v2.0/default-security-group-rules"): {"default_security_group_rule": FIRST_RULE},
    ("network", "PUT", "/v2.0/agents/*"): {"agent": {"description": "x"}},
    ("network", "POST", "/v2.0/trunks"): {"trunk": NAMED | {"port_id": "PORT", "sub_ports": []}},
    ("network", "PUT", "/v2.0/trunks/*"): {"trunk": {"description": "x"}},
    ("network", "PUT", "/v2.0/trunks/*/add_subports"): {
        "sub_ports": [{"port_id": "PORT", "segmentation_type": "vlan", "segmentation_id": 7}]
    },
    ("network", "PUT", "/v2.0/trunks/*/remove_subports"): {"sub_ports": []},
    ("network", "POST", "/v2.0/metering/metering-labels"): {"metering_label": NAMED | {"shared": False}},
    ("network", "POST", "/v2.0/metering/metering-label-rules"): {
        "metering_label_rule": {
            "metering_label_id": "network metering-labels", "direction": "ingress", "source_ip_prefix": "10.3.0.0/24"
        }
    },
    ("network", "POST", "/v2.0/flavors"): {"flavor": NAMED | {"service_type": "FLAVORS", "enabled": True}},
    ("network", "PUT", "/v2.0/flavors/*"): {"flavor": {"description": "x"}},
    ("network", "POST", "/v2.0/flavors/*/service_profiles"): {"service_profile": {"id": "network service_profiles"}},
    ("network", "POST", "/v2.0/service_profiles"): {"service_profile": {"metainfo": "x", "enabled": True}},
    ("network", "PUT", "/v2.0/service_profiles/*"): {"service_profile": {"description": "x"}},
    ("network", "POST", "/v2.0/agents/*/l3-routers"): {"router_id": "network routers"},
    ("network", "PUT", "/v2.0/quotas/*"): {"quota": {"network": 1000}},
    ("compute", "POST", "/v2.1/flavors"): {"flavor": NAMED | {"ram": 64, "vcpus": 1, "disk": 1, "swap": 0, "rxtx_factor": 1.0}},
    ("compute", "PUT", "/v2.1/flavors/*"): {"flavor": {"description": "x"}},
    ("compute", "POST", "/v2.1/flavors/*/os-extra_specs"): {"extra_specs": {"hw:cpu_policy": "shared"}},
    ("compute", "PUT", "/v2.1/flavors/*/os-extra_specs/*"): {"hw:cpu_policy": "shared"},
    ("compute", "POST", "/v2.1/flavors/*/action"): {"addTenantAccess": {"tenant": "PROJECT"}},
    ("compute", "POST", "/v2.1/servers"): {"server": SERVER},
    ("compute", "PUT", "/v2.1/servers/*"): {"server": {"name": "x", "description": "d"}},
    ("compute", "POST", "/v2.1/servers/*/action"): {"os-getConsoleOutput": {"length": 5}},
    ("compute", "POST", "/v2.1/os-volumes"): {"volume": {"size": 1, "display_name": "v", "metadata": {"a": "b"}}},
    ("compute", "POST", "/v2.1/os-snapshots"): {
        "snapshot": {"volume_id": "volume volumes", "display_name": "s", "force": True}
    },
    ("compute", "POST", "/v2.1/servers/*/os-volume_attachments"): {
        "volumeAttachment": {"volumeId": "volume volumes", "device": "/dev/vdx"}
    },
    ("compute", "PUT", "/v2.1/servers/*/os-volume_attachments/*"): {
        "volumeAttachment": {"volumeId": "volume volumes", "delete_on_termination": True}
    },
    ("compute", "POST", "/v2.1/servers/*/migrations/*/action"): {"force_complete": None},
    ("compute", "POST", "/v2.1/servers/*/os-interface"): {"interfaceAttachment": {"port_id": "network ports", "tag": "x"}},
    ("compute", "POST", "/v2.1/os-floating-ips"): {"pool": "network external"},
    ("compute", "POST", "/v2.1/servers/*/remote-consoles"): {"remote_console": {"protocol": "vnc", "type": "novnc"}},
    ("compute", "POST", "/v2.1/servers/*/metadata"): {"metadata": {"a": "b"}},
    ("compute", "PUT", "/v2.1/servers/*/metadata"): {"metadata": {"word": "b"}},
    ("compute", "PUT", "/v2.1/servers/*/metadata/*"): {"meta": {"word": "b"}},
    ("compute", "PUT", "/v2.1/servers/*/tags"): {"tags": ["word"]},
    ("compute", "POST", "/v2.1/os-server-external-events"): {
        "events": [{"name": "network-changed", "server_uuid": NOWHERE, "tag": "x", "status": "completed"}]
    },
    ("compute", "POST", "/v2.1/os-security-groups"): {"security_group": {"name": "FRESH", "description": "x"}},
    ("compute", "PUT", "/v2.1/os-security-groups/*"): {"security_group": {"name": "FRESH", "description": "x"}},
    ("compute", "POST", "/v2.1/os-security-group-rules"): {
        "security_group_rule": {
            "parent_group_id": "network security-groups", "ip_protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "10.0.0.0/8"
        }
    },
    ("compute", "POST", "/v2.1/os-keypairs"): {"keypair": NAMED | {"public_key": KEY, "type": "ssh"}},
    ("compute", "PUT", "/v2.1/os-services/*"): {"status": "enabled"},
    ("compute", "PUT", "/v2.1/os-quota-sets/*"): {"quota_set": {"instances": 1000, "force": True}},
    ("compute", "PUT", "/v2.1/os-quota-class-sets/*"): {"quota_class_set": {"instances": 1000}},
    ("compute", "POST", "/v2.1/os-aggregates"): {"aggregate": NAMED | {"availability_zone": "FRESH"}},
    ("compute", "PUT", "/v2.1/os-aggregates/*"): {"aggregate": {"name": "FRESH"}},
    ("compute", "POST", "/v2.1/os-aggregates/*/action"): {"set_metadata": {"metadata": {"a": "b"}}},
    ("compute", "POST", "/v2.1/os-aggregates/*/images"): {"cache": [{"id": "image images"}]},
    ("compute", "POST", "/v2.1/os-server-groups"): {"server_group": NAMED | {"policy": "anti-affinity"}},
    ("placement", "POST", "/resource_providers"): NAMED,
    ("placement", "PUT", "/resource_providers/*"): NAMED,
    ("placement", "PUT", "/resource_providers/*/inventories"): {
        "resource_provider_generation": 0, "inventories": {"VCPU": {"total": 4, "allocation_ratio": 2.0, "reserved": 0}}
    },
    ("placement", "PUT", "/allocations/*"): ALLOCATION,
    ("placement", "POST", "/allocations"): {NOWHERE: ALLOCATION},
    ("volume", "POST", "/v3/volumes"): {
        "volume": NAMED | {"size": 1, "description": "d", "metadata": {"a": "b"}, "availability_zone": "nova"}
    },
    ("volume", "PUT", "/v3/volumes/*"): {"volume": {"name": "FRESH", "metadata": {"a": "b"}}},
    ("volume", "POST", "/v3/volumes/*/metadata"): {"metadata": {"a": "b"}},
    ("volume", "PUT", "/v3/volumes/*/metadata"): {"metadata": {"word": "b"}},
    ("volume", "PUT", "/v3/volumes/*/metadata/*"): {"meta": {"word": "b"}},
    ("volume", "POST", "/v3/volumes/*/action"): {"os-show_image_metadata": {}},
    ("volume", "POST", "/v3/snapshots"): {
        "snapshot": NAMED | {"volume_id": "volume volumes", "force": True, "description": "d", "metadata": {"a": "b"}}
    },
    ("volume", "PUT", "/v3/snapshots/*"): {"snapshot": {"name": "FRESH"}},
    ("volume", "POST", "/v3/snapshots/*/metadata"): {"metadata": {"a": "b"}},
    ("volume", "PUT", "/v3/snapshots/*/metadata"): {"metadata": {"word": "b"}},
    ("volume", "PUT", "/v3/snapshots/*/metadata/*"): {"meta": {"word": "b"}},
    ("volume", "POST", "/v3/snapshots/*/action"): {"os-reset_status": {"status": "available"}},
    ("volume", "POST", "/v3/types"): {
        "volume_type": NAMED | {"description": "d", "extra_specs": {"a": "b"}, "os-volume-type-access:is_public": True}
    },
    ("volume", "PUT", "/v3/types/*"): {"volume_type": {"name": "FRESH", "description": "d", "is_public": False}},
    ("volume", "POST", "/v3/types/*/extra_specs"): {"extra_specs": {"a": "b"}},
    ("volume", "PUT", "/v3/types/*/extra_specs/*"): {"word": "b"},
    ("volume", "POST", "/v3/types/*/action"): {"removeProjectAccess": {"project": "PROJECT"}},
    ("volume", "POST", "/v3/attachments"): {
        "attachment": {"volume_uuid": "volume volumes", "instance_uuid": None, "connector": None, "mode": "rw"}
    },
    ("volume", "PUT", "/v3/attachments/*"): {"attachment": {"connector": {"host": "h", "ip": "10.0.0.1"}}},
    ("volume", "POST", "/v3/attachments/*/action"): {"os-complete": {}},
    ("volume", "POST", "/v3/types/*/encryption"): {
        "encryption": {"provider": "luks", "control_location": "front-end", "cipher": "aes-xts-plain64", "key_size": 256}
    },
    ("volume", "PUT", "/v3/types/*/encryption/*"): {"encryption": {"key_size": 128}},
    ("volume", "POST", "/v3/qos-specs"): {"qos_specs": NAMED | {"consumer": "both", "total_iops_sec": "5"}},
    ("volume", "PUT", "/v3/qos-specs/*"): {"qos_specs": {"total_iops_sec": "6"}},
    ("volume", "PUT", "/v3/qos-specs/*/delete_keys"): {"keys": ["word"]},
    ("volume", "PUT", "/v3/default-types/*"): {"default_type": {"volume_type": "__DEFAULT__"}},
    ("volume", "POST", "/v3/backups"): {
        "backup": NAMED | {
            "volume_id": "volume volumes", "description": "d", "incremental": False, "force": True, "snapshot_id": None,
            "metadata": {"a": "b"}, "container": "c", "availability_zone": "nova",
        }
    },
    ("volume", "PUT", "/v3/backups/*"): {"backup": {"name": "FRESH", "metadata": {"a": "b"}}},
    ("volume", "POST", "/v3/backups/*/restore"): {"restore": {"name": "FRESH", "volume_id": None}},
    ("volume", "POST", "/v3/backups/*/action"): {"os-reset_status": {"status": "available"}},
    ("volume", "POST", "/v3/os-volume-transfer"): {"transfer": NAMED | {"volume_id": "volume volumes"}},
    ("volume", "POST", "/v3/volume-transfers"): {
        "transfer": NAMED | {"volume_id": "volume volumes", "no_snapshots": False}
    },
    ("volume", "POST", "/v3/os-volume-transfer/*/accept"): {"accept": {"auth_key": "x"}},
    ("volume", "POST", "/v3/volume-transfers/*/accept"): {"accept": {"auth_key": "x"}},
    ("volume", "PUT", "/v3/os-quota-sets/*"): {"quota_set": {"volumes": 1000, "gigabytes": -1}},
    ("volume", "PUT", "/v3/os-quota-class-sets/*"): {"quota_class_set": {"volumes": 1000}},
    ("volume", "PUT", "/v3/os-services/*"): {"host": "nowhere@x", "binary": "cinder-volume"},
}  # fmt: skip
"""(service, method, path with `*` for each parameter) → a body. `FRESH` stands for a new name, `PROJECT` and `USER` for
`member`'s, "SERVICE WORD" for the id of one of these. A route without one gets an empty object."""


ALSO: dict[tuple[str, str, str], list[Any]] = {
    ("network", "POST", "/v2.0/subnets"): [{"subnet": SUBNET_6}],
    ("network", "POST", "/v2.0/ports"): [{"port": PORT_6 | {"network_id": "network networks"}}],
    ("network", "PUT", "/v2.0/ports/*"): [{"port": PORT_6}],
    ("network", "POST", "/v2.0/security-group-rules"): [{"security_group_rule": RULE_6}],
    ("network", "POST", "/v2.0/default-security-group-rules"): [
        {"default_security_group_rule": FIRST_RULE | {"remote_group_id": None, "remote_ip_prefix": "2001:db8::/32"}}
    ],
    ("network", "POST", "/v2.0/address-groups"): [{"address_group": NAMED | {"addresses": ["2001:db8::/32"]}}],
    ("network", "PUT", "/v2.0/address-groups/*/add_addresses"): [{"addresses": ["2001:db8::1/128"]}],
    ("compute", "POST", "/v2.1/os-security-group-rules"): [
        {
            "security_group_rule": {
                "parent_group_id": "network security-groups", "ip_protocol": "icmp", "from_port": -1, "to_port": -1,
                "cidr": "2001:db8::/32",
            }
        }
    ],
}  # fmt: skip
"""Further bodies of these routes, attacked too: what IPv6 makes of them."""


def body_of(world: World, place: Place) -> Any:
    """The place's valid body in this world, or None for what takes none."""
    if not place.writes or place.route.method == "DELETE":
        return None
    if place.service == "volume" and place.action:
        return _filled(world, {place.action: VOLUME_ACTIONS[place.action]})
    if place.action:
        action = ACTIONS.by_wire(place.action)
        return {place.action: action.example if action else None}
    return _filled(world, BODIES.get(place.key, {"tags": ["a"]} if place.route.path.endswith("/tags") else {}))


def bodies_of(world: World, place: Place) -> list[Any]:
    """The same, and further ones."""
    return [body_of(world, place), *(_filled(world, body) for body in ALSO.get(place.key, []))]


def _filled(world: World, body: Any) -> Any:
    text = json.dumps(body).replace('"FRESH"', json.dumps(world.fresh()))
    text = text.replace('"PROJECT"', f'"{world.projects["owned"]}"').replace('"USER"', f'"{world.users["member"]}"')
    if '"PORT"' in text:
        text = text.replace('"PORT"', json.dumps(world.port()))
    for service, what in (
        ("image", "images"),
        ("network", "networks"),
        ("network", "subnets"),
        ("network", "external"),
        ("network", "inside"),
        ("network", "routers"),
        ("network", "metering-labels"),
        ("network", "service_profiles"),
        ("network", "security-groups"),
        ("identity", "services"),
        ("volume", "volumes"),
        ("volume", "snapshots"),
    ):
        if f'"{service} {what}"' in text:
            text = text.replace(f'"{service} {what}"', json.dumps(world.id(service, what)))
    return json.loads(text)


def headers_of(place: Place) -> dict[str, str]:
    """The version at which the route is there, and the content type it wants."""
    action = ACTIONS.by_wire(place.action) if place.action and place.service == "compute" else None
    window = place.route if action is None else action
    since, until = (str(edge) if edge is not None else None for edge in (window.since, window.until))
    headers = {"version": until or max(since or "2.1", "2.90", key=lambda v: int(v.split(".")[1]))}
    if place.key == ("image", "PATCH", "/v2/images/*"):
        headers["content_type"] = PATCH
    if place.route.path.endswith("/file"):
        headers["content_type"] = "application/octet-stream"
    return headers
