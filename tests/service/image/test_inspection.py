"""Content is what was declared, and harmless, before an image becomes active."""

from __future__ import annotations

import pytest

from tests.service.image.support import IMAGES, create, put, qemu_img, show, stored


@pytest.fixture
def made(tmp_path):
    """Images by name, made with qemu-img."""
    base = tmp_path / "base.raw"
    base.write_bytes(b"base" * 1024)

    def make(kind: str) -> bytes:
        target = tmp_path / f"{kind}.img"
        match kind:
            case "backing":
                qemu_img("create", "-f", "qcow2", "-b", str(base), "-F", "raw", str(target))
            case "data_file":
                outside = tmp_path / "outside.raw"
                qemu_img("create", "-f", "qcow2", "-o", f"data_file={outside}", str(target), "1M")
            case "qed":
                qemu_img("create", "-f", "qed", str(target), "1M")
            case "features":
                qemu_img("create", "-f", "qcow2", str(target), "1M")
                content = bytearray(target.read_bytes())
                content[72] |= 0x40
                target.write_bytes(content)
            case "qcow1":
                qemu_img("create", "-f", "qcow2", str(target), "1M")
                content = bytearray(target.read_bytes())
                content[4:8] = (1).to_bytes(4, "big")
                target.write_bytes(content)
            case "flat_vmdk":
                qemu_img("create", "-f", "vmdk", "-o", "subformat=monolithicFlat", str(target), "1M")
            case "vhd":
                qemu_img("create", "-f", "vpc", str(target), "1M")
            case "gpt":
                return _mbr(0x83) + bytes(1 << 20)
            case "odd_mbr":
                return _mbr(0) + bytes(1 << 20)
            case "iso":
                return _iso()
            case "raw":
                return b"\x00" * (1 << 20)
            case "html":
                return b"<html>404 not found</html>" * 100
            case "short_qcow2":
                qemu_img("create", "-f", "qcow2", str(target), "1M")
                return target.read_bytes()[:300]
            case _:
                qemu_img("create", "-f", kind, str(target), "1M")
        return target.read_bytes()

    return make


def _mbr(ostype: int) -> bytes:
    entry = bytes([0x80, 0, 2, 0, ostype, 0, 0, 0]) + (1).to_bytes(4, "little") + (2000).to_bytes(4, "little")
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


def _iso() -> bytes:
    descriptor = bytearray(2048)
    descriptor[0:7] = b"\x01CD001\x01"
    descriptor[80:84] = (50).to_bytes(4, "little")
    descriptor[84:88] = (50).to_bytes(4, "big")
    descriptor[128:130] = (2048).to_bytes(2, "little")
    descriptor[130:132] = (2048).to_bytes(2, "big")
    return (bytes(32768) + bytes(descriptor)).ljust(50 * 2048, b"\x00")


@pytest.mark.parametrize(
    ("kind", "declared", "virtual_size"),
    [
        ("raw", "raw", 1 << 20), ("gpt", "raw", (1 << 20) + 512), ("iso", "raw", 50 * 2048), ("html", "raw", 2600),
        ("qcow2", "qcow2", 1 << 20), ("vmdk", "vmdk", 1 << 20), ("vdi", "vdi", 1 << 20), ("vhdx", "vhdx", 1 << 20),
        ("vhd", "vhd", None), ("iso", "iso", 50 * 2048), ("raw", "ami", None), ("gpt", "ami", None),
        ("odd_mbr", "aki", None), ("raw", "ari", None), ("raw", "ploop", None),
    ],
)  # fmt: skip
async def test_what_is_taken(cloud, client, made, kind, declared, virtual_size):
    image = await create(client, disk_format=declared)
    answer = await put(client, image["id"], made(kind))
    assert answer.status == 204, answer.content
    image = await show(client, image["id"])
    assert image["status"] == "active"
    if virtual_size is not None or declared in ("ami", "aki", "ari", "ploop"):
        assert image["virtual_size"] == virtual_size
    else:  # the format rounds up to its geometry
        assert image["virtual_size"] >= 1 << 20


@pytest.mark.parametrize(
    ("kind", "declared", "reason"),
    [
        ("backing", "qcow2", "backing_file: Image has a backing file"),
        ("data_file", "qcow2", "data_file: Image has data_file set"),
        ("features", "qcow2", "unknown_features"),
        ("qcow1", "qcow2", "Unsupported qcow2 version"),
        ("flat_vmdk", "vmdk", "descriptor: Unsupported subformat"),
        ("odd_mbr", "raw", "mbr"),
        ("qcow2", "raw", "Image disk_format raw does not match stream data qcow2"),
        ("backing", "raw", "Image disk_format raw does not match stream data qcow2"),
        ("backing", "ami", "Image disk_format ami does not match stream data qcow2"),
        ("qed", "raw", "does not match stream data qed"),
        ("vmdk", "raw", "does not match stream data vmdk"),
        ("raw", "qcow2", "Image disk_format qcow2 does not match stream data raw"),
        ("html", "qcow2", "Image disk_format qcow2 does not match stream data raw"),
        ("short_qcow2", "qcow2", "Image disk_format qcow2 does not match stream data raw"),
        ("qcow2", "vmdk", "Image disk_format vmdk does not match stream data qcow2"),
        ("raw", "iso", "Image disk_format iso does not match stream data raw"),
        ("vdi", "vhd", "Image disk_format vhd does not match stream data vdi"),
    ],
)
async def test_what_is_refused_leaves_nothing(cloud, client, made, kind, declared, reason):
    image = await create(client, disk_format=declared)
    answer = await put(client, image["id"], made(kind))
    assert (answer.status, reason in answer.json["message"]) == (415, True), answer.content
    now = await show(client, image["id"])
    assert (now["status"], now["size"], now["checksum"]) == ("queued", None, None)
    assert stored(cloud.folder) == []
    assert (await client("GET", f"{IMAGES}/{image['id']}/file", token="member")).status == 204


async def test_two_formats_in_one_file(cloud, client, made):
    both = bytearray(_iso())
    both[:512] = made("qcow2")[:512]
    for declared in ("iso", "qcow2", "raw"):
        image = await create(client, disk_format=declared)
        answer = await put(client, image["id"], bytes(both))
        assert (answer.status, "Multiple formats" in answer.json["message"]) == (415, True)
    assert stored(cloud.folder) == []


async def test_an_impossible_virtual_size(cloud, client, made):
    content = bytearray(made("qcow2"))
    content[24:32] = b"\xff" * 8
    image = await create(client, disk_format="qcow2")
    answer = await put(client, image["id"], bytes(content))
    assert (answer.status, "impossible virtual size" in answer.json["message"]) == (415, True)


async def test_archives_around_a_disk(client, made):
    image = await create(client, disk_format="vmdk", container_format="ova")
    assert (await put(client, image["id"], b"disk.vmdk".ljust(257, b"\x00") + b"ustar" + bytes(4000))).status == 204
    image = await create(client, disk_format="vmdk", container_format="ova")
    assert (await put(client, image["id"], made("backing"))).status == 415
