"""The steps of a launch and of server actions: stable names that the journal, the timeline, the metrics and the fault injector
share."""

from __future__ import annotations

import msgspec

AGENT = "kilonova.compute.agent.steps"


class Step(msgspec.Struct, frozen=True):
    """`deadline` in seconds; `task_state` is what a client sees of a launch from here on. `failed` is what a user reads when
    the cause is unknown or internal. `code` is where a host finds the step's class: `MODULE:CLASS`."""

    name: str
    component: str
    deadline: float
    task_state: str | None = None
    failed: str = "the step failed on the host"
    code: str = ""


def _on_host(name: str, deadline: float, code: str, failed: str, task_state: str | None = None) -> Step:
    return Step(name, "compute", deadline, task_state, failed, f"{AGENT}.{code}")


BEFORE: tuple[Step, ...] = (
    Step("authenticate", "api", 10),
    Step("authorize", "api", 1),
    Step("validate", "api", 30),
    Step("quota", "api", 10),
    Step("record", "api", 10, "scheduling"),
    Step("hand_over", "api", 30),
    Step("schedule", "conductor", 60),
    Step("claim", "scheduler", 30),
    Step("dispatch", "conductor", 30),
)
"""What comes before a host has the server."""

ACCEPT = _on_host("accept", 600, "accept:Accept", "the host's resources could not be read", "networking")
NETWORKING = _on_host("networking", 120, "networking:Networking", "port creation or binding failed")
BLOCK_DEVICES = _on_host(
    "block_device_mapping", 600, "disks:BlockDeviceMapping", "attaching the volumes failed", "block_device_mapping"
)
IMAGE = _on_host("image", 3600, "disks:Image", "creating the disk from the image failed", "spawning")
PERSONALISE = _on_host("personalise", 120, "disks:Personalise", "writing the server's data into its disks failed")
DEFINE = _on_host("define", 60, "guest:Define", "the hypervisor refused the guest's definition")
PLUG = _on_host("plug", 60, "networking:Plug", "plugging the ports into the host's network failed")
START = _on_host("start", 120, "guest:Start", "the hypervisor could not start the guest")
AWAIT_NETWORK = _on_host(
    "await_network", 300, "networking:AwaitNetwork", "plugging the ports into the host's network failed"
)
RESUME = _on_host("resume", 30, "guest:Resume", "the hypervisor could not resume the guest")
RUNNING = _on_host("running", 60, "guest:Running", "the guest's state could not be read from the hypervisor")
ACTIVE = Step("active", "compute", 60)
"""The report that follows the last step of a launch."""

BUILD_OFF = (IMAGE, PERSONALISE, DEFINE)
"""Disks and definition of a guest that is off."""
POWER_UP = (PLUG, START, AWAIT_NETWORK, RESUME, RUNNING)
POWER_ON = (*BUILD_OFF, *POWER_UP)
"""The guest from its disks."""
LAUNCH = (ACCEPT, NETWORKING, BLOCK_DEVICES, *POWER_ON)
"""A server that is new on a host."""


def shut_off(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Those of the steps that a server needs which stays off."""
    return steps[: steps.index(DEFINE) + 1]


STEPS: tuple[Step, ...] = (*BEFORE, *LAUNCH, ACTIVE)
"""A whole launch."""

REFRESH = _on_host("refresh_network", 120, "networking:Refresh", "the server's ports could not be read")
DESTROY = _on_host("destroy", 120, "power:Destroy", "the hypervisor could not stop the guest")
POWER_OFF = _on_host("power_off", 3600, "power:PowerOff", "the hypervisor could not stop the guest")
UNPLUG = _on_host("unplug", 60, "networking:Unplug", "unplugging the ports from the host's network failed")
SOFT_REBOOT = _on_host("soft_reboot", 3600, "power:SoftReboot", "the hypervisor could not reboot the guest")
PAUSE = _on_host("pause", 60, "power:Pause", "the hypervisor could not pause the guest")
UNPAUSE = _on_host("unpause", 60, "power:Unpause", "the hypervisor could not let the guest run on")
SUSPEND = _on_host("suspend", 3600, "power:Suspend", "the hypervisor could not save the guest's memory")
RESTORE = _on_host("restore", 3600, "power:Restore", "the hypervisor could not restore the guest's memory")
CRASH_DUMP = _on_host("crash_dump", 60, "power:CrashDump", "the hypervisor could not interrupt the guest")
PLUG_PORT = _on_host("plug_port", 60, "interfaces:PlugPort", "plugging the port into the host's network failed")
HOT_PLUG = _on_host("hot_plug", 60, "interfaces:HotPlug", "the hypervisor could not attach the interface")
ATTACH_INTERFACE = _on_host(
    "attach_interface", 300, "interfaces:AttachInterface", "plugging the port into the host's network failed"
)
HOT_UNPLUG = _on_host("hot_unplug", 120, "interfaces:HotUnplug", "the hypervisor could not detach the interface")
UNPLUG_PORT = _on_host("unplug_port", 60, "interfaces:UnplugPort", "unplugging the port from the host's network failed")
DETACH_INTERFACE = _on_host("detach_interface", 120, "interfaces:DetachInterface", "the port could not be let go of")
CONNECT_VOLUME = _on_host(
    "connect_volume", 600, "volumes:ConnectVolume", "the volume could not be connected to the host"
)
PLUG_VOLUME = _on_host("attach_volume", 120, "volumes:PlugVolume", "the hypervisor could not attach the volume")
UNPLUG_VOLUME = _on_host("unplug_volume", 180, "volumes:UnplugVolume", "the hypervisor could not detach the volume")
DISCONNECT_VOLUME = _on_host("detach_volume", 120, "volumes:DisconnectVolume", "the volume could not be let go of")
RESIZE_VOLUME = _on_host(
    "extend_volume", 60, "volumes:ResizeVolume", "the guest could not be told of the volume's size"
)
WIPE = _on_host("wipe", 600, "disks:Wipe", "removing the old disks failed")
STAY_OFF = _on_host("stay_off", 10, "power:StayOff", "the guest's state could not be read from the hypervisor")
RESTART = (REFRESH, DESTROY, *POWER_ON)
"""The same guest again: start and hard reboot."""

OFFLOAD = _on_host("offload", 600, "shelving:Offload", "removing the server from the host failed")
RESCUE = _on_host("rescue", 3600, "rescue:MakeRescueDisk", "creating the rescue disk from its image failed")
UNRESCUE = _on_host("unrescue", 60, "rescue:DropRescueDisk", "removing the rescue disk failed")
SNAPSHOT = _on_host("snapshot", 7200, "snapshot:TakeSnapshot", "copying the server's disk failed", "image_snapshot")
PACK = _on_host("pack", 7200, "snapshot:Pack", "making an image of the server's disk failed", "image_pending_upload")
UPLOAD = _on_host("upload", 14400, "snapshot:Upload", "uploading the image failed", "image_uploading")
MAKE_IMAGE = (SNAPSHOT, PACK, UPLOAD)
"""The root disk as an image in the image service."""

WANTED = _on_host("wanted", 60, "moving:Wanted", "the move is no longer wanted")
SET_ASIDE = _on_host("set_aside", 600, "moving:SetAside", "setting the server's disks aside failed")
TAKE_DISKS = _on_host(
    "take_disks", 24 * 3600, "moving:TakeDisks", "copying the server's disks from its old host failed"
)
PUT_BACK = _on_host("put_back", 600, "moving:PutBack", "putting the server's disks back failed")
GIVE_UP = _on_host("give_up", 600, "moving:GiveUp", "removing the server from its new host failed")
COMING = _on_host("coming", 120, "live:Coming", "the ports could not be prepared on the new host")
TAKE_FORM = _on_host("take_form", 3600, "live:TakeForm", "making the server's disks on its new host failed")
RECEIVE_GUEST = _on_host("receive_guest", 60, "live:ReceiveGuest", "the new host can not receive the guest")
SEND_GUEST = _on_host("send_guest", 24 * 3600, "live:SendGuest", "the guest could not be sent to its new host")
LET_RUN = _on_host("let_run", 120, "live:LetRun", "the guest could not be let run on its new host")
TAKE_PORTS = _on_host("take_ports", 300, "live:TakePorts", "the ports could not be bound to the new host")
TAKE_LOG = _on_host("take_log", 120, "live:TakeLog", "the console's log could not be taken from the old host")
RECEIVE = (ACCEPT, COMING, PLUG, TAKE_FORM, RECEIVE_GUEST)
"""A host makes ready for a guest that runs on another."""
SEND = (WANTED, SEND_GUEST)
LAND = (LET_RUN, TAKE_PORTS, TAKE_LOG)
"""The guest is there."""
LEAVE = (WANTED, POWER_OFF, UNPLUG, SET_ASIDE)
"""A server leaves its host with its disks."""
TAKE_OVER = (ACCEPT, NETWORKING, BLOCK_DEVICES, TAKE_DISKS, *POWER_ON)
"""A server comes to a host with its disks."""
WITHDRAW = (WANTED, DESTROY, UNPLUG, GIVE_UP)
COME_BACK = (WANTED, PUT_BACK, NETWORKING, BLOCK_DEVICES, *POWER_ON)

BY_NAME: dict[str, Step] = {step.name: step for step in (*STEPS, *globals().values()) if isinstance(step, Step)}
"""Every step of this module: those of a launch in their order, then the others as they are written here."""
ORDER: dict[str, int] = {name: place for place, name in enumerate(BY_NAME)}
"""Step → its place, for steps that began at the same moment."""
