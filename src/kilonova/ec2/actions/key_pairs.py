"""Key pairs, which are compute's. Fingerprints are as Amazon computes them."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import uuid
from typing import Any
from urllib.parse import quote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from kilonova.ec2.call import Ec2Call, Result, refused
from kilonova.ec2.errors import CodedError, InvalidParameterValue, coded
from kilonova.ec2.filters import at, filtered
from kilonova.ec2.ids import KEY_PAIR

PATH = "/os-keypairs"
FILTERS = {
    "key-pair-id": at("KeyPairId"), "fingerprint": at("KeyFingerprint"), "key-name": at("KeyName"),
}  # fmt: skip
MADE = "sha1="  # beginning of the comment of RSA keys that were made here
TYPES = {"ssh-rsa": "rsa", "ssh-ed25519": "ed25519"}
SPACE = uuid.UUID("6d3b2d8e-9a4e-4f3c-9d0c-7f3a55c5b6f1")


async def create_key_pair(call: Ec2Call) -> Result:
    """The private key is made here and shown once: compute gets the public one alone."""
    kind = call.params.get("KeyType", "rsa")
    if call.params.get("KeyFormat", "pem") != "pem":
        raise InvalidParameterValue(name="keyFormat", value=call.params["KeyFormat"], reason="Only pem is made here.")
    if kind == "rsa":
        key: Any = await asyncio.to_thread(rsa.generate_private_key, public_exponent=65537, key_size=2048)
        layout = pem.PrivateFormat.TraditionalOpenSSL
    elif kind == "ed25519":
        key, layout = ed25519.Ed25519PrivateKey.generate(), pem.PrivateFormat.OpenSSH
    else:
        raise InvalidParameterValue(name="keyType", value=str(kind)[:50], reason="Known are rsa and ed25519.")
    public = key.public_key().public_bytes(pem.Encoding.OpenSSH, pem.PublicFormat.OpenSSH).decode()
    made = await _add(call, public if kind == "ed25519" else f"{public} {MADE}{_sha1(key)}")
    return made | {"KeyMaterial": key.private_bytes(pem.Encoding.PEM, layout, pem.NoEncryption()).decode()}


async def import_key_pair(call: Ec2Call) -> Result:
    try:
        public = call.params["PublicKeyMaterial"].decode()
        pem.load_ssh_public_key(public.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise coded("InvalidKey.Format", "Key is not in valid OpenSSH public key format") from None
    return await _add(call, public.strip())


async def describe_key_pairs(call: Ec2Call) -> Result:
    params = call.params
    shown = [_view(item["keypair"], bool(params.get("IncludePublicKey"))) for item in await _all(call)]
    names, ids = params.get("KeyNames", ()), params.get("KeyPairIds", ())
    for key, asked in (("KeyName", names), ("KeyPairId", ids)):
        if missing := sorted(set(asked) - {item[key] for item in shown}):
            raise coded("InvalidKeyPair.NotFound", f"The key pair '{missing[0][:255]}' does not exist")
    wanted = [item for item in shown if not (names or ids) or item["KeyName"] in names or item["KeyPairId"] in ids]
    return {"KeyPairs": filtered(wanted, params.get("Filters"), FILTERS)}


async def delete_key_pair(call: Ec2Call) -> Result:
    """One that does not exist is deleted already."""
    name = call.params.get("KeyName")
    if name is None:
        wanted = call.params.get("KeyPairId", "")
        name = next((k["keypair"]["name"] for k in await _all(call) if _id(k["keypair"]) == wanted), None)
    if name is not None:
        try:
            with refused(NotFound="gone"):
                await call.compute.delete(f"{PATH}/{quote(name, safe='')}")
        except CodedError as error:
            if error.code != "gone":
                raise
    return {"Return": True}


async def _all(call: Ec2Call) -> list[dict[str, Any]]:
    return await call.compute.all(PATH, "keypairs")


async def _add(call: Ec2Call, public: str) -> Result:
    name = call.params["KeyName"]
    with refused(
        Conflict="InvalidKeyPair.Duplicate", Forbidden="KeyPairLimitExceeded", BadRequest="InvalidParameterValue"
    ):
        body = {"keypair": {"name": name, "public_key": public, "type": "ssh"}}
        made = (await call.compute.post(PATH, body))["keypair"]
    view = _view(made | {"public_key": public}, public=False)
    return {key: view[key] for key in ("KeyName", "KeyPairId", "KeyFingerprint")}


def _view(pair: dict[str, Any], public: bool) -> dict[str, Any]:
    kind = TYPES.get(pair["public_key"].split(" ", 1)[0])
    view: dict[str, Any] = {
        "KeyName": pair["name"], "KeyPairId": _id(pair), "KeyFingerprint": fingerprint(pair["public_key"]), "KeyType": kind,
        "Tags": [],
    }  # fmt: skip
    if "created_at" in pair:
        view["CreateTime"] = dt.datetime.fromisoformat(pair["created_at"])
    return view | ({"PublicKey": pair["public_key"]} if public else {})


def _id(pair: dict[str, Any]) -> str:
    """A user's key pairs have no ids but their names; the public key tells a later one of the same name from an earlier one."""
    return KEY_PAIR.id(str(uuid.uuid5(SPACE, f"{pair['name']}\n{pair['public_key']}")))


def fingerprint(public: str) -> str:
    """SHA-256 of an ed25519 key; of an RSA key that was made here SHA-1 of the private key's DER, which its comment keeps, of one
    that was imported MD5 of the public key's."""
    kind, data, comment = [*public.split(" ", 2), "", ""][:3]
    if kind == "ssh-ed25519":
        return base64.b64encode(hashlib.sha256(base64.b64decode(data)).digest()).decode()
    if comment.startswith(MADE):
        return _colons(comment.removeprefix(MADE))
    der = pem.load_ssh_public_key(public.encode()).public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo)
    return _colons(hashlib.md5(der, usedforsecurity=False).hexdigest())


def _sha1(key: rsa.RSAPrivateKey) -> str:
    der = key.private_bytes(pem.Encoding.DER, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    return hashlib.sha1(der, usedforsecurity=False).hexdigest()


def _colons(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


ACTIONS = {
    "CreateKeyPair": create_key_pair,
    "ImportKeyPair": import_key_pair,
    "DescribeKeyPairs": describe_key_pairs,
    "DeleteKeyPair": delete_key_pair,
}
