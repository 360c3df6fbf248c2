"""Signatures of Amazon's request protocols, checked with the secret of an EC2 credential.

Version 2 signs the parameters of a query; version 4 method, path, query, chosen headers and the body's hash. Both are described
in Amazon's documents; clients' libraries make them.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import msgspec

from kilonova.core.clock import parse_iso

WINDOW = dt.timedelta(minutes=15)
LONGEST = dt.timedelta(days=7)  # of a presigned request
V4 = "AWS4-HMAC-SHA256"
V4_TIME = "%Y%m%dT%H%M%SZ"
HASHES = {"HmacSHA256": hashlib.sha256, "HmacSHA1": hashlib.sha1}


class Signed(msgspec.Struct, kw_only=True):
    """A request as its receiver saw it. `params` are those of the query, or of the form of a POST; `headers` are found in any
    case; `body_hash` is the SHA-256 of the body in hex."""

    access: str
    signature: str
    verb: str = "GET"
    host: str = ""
    path: str = "/"
    params: dict[str, str] = {}
    headers: dict[str, str] = {}
    body_hash: str = hashlib.sha256(b"").hexdigest()

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers.items() if key.lower() == name), "")


def is_right(signed: Signed, secret: str) -> bool:
    """Whether the request was signed with this secret. Takes as long for every wrong signature."""
    return any(
        hmac.compare_digest(right.encode(), signed.signature.encode(errors="replace"))
        for right in _signatures(signed, secret)
    )


def is_timely(signed: Signed, now: dt.datetime, *, window: dt.timedelta = WINDOW) -> bool:
    """Whether the request was signed at most 15 minutes ago, or is within the time for which it was signed in advance. One
    whose time is not part of what was signed is never timely."""
    params = signed.params
    try:
        if not _is_v4(signed):
            if "Expires" in params:
                return now <= parse_iso(params["Expires"]) <= now + LONGEST
            return abs(now - parse_iso(params["Timestamp"])) <= window
        made = _compact(_moment(signed))
        if _is_presigned(signed):
            lasts = min(dt.timedelta(seconds=int(params["X-Amz-Expires"])), LONGEST)
            return made - window <= now <= made + lasts
        return abs(now - made) <= window
    except (KeyError, ValueError, OverflowError):
        return False


def was_made_at(signed: Signed) -> dt.datetime | None:
    """None where it says only how long it is good."""
    try:
        return _compact(_moment(signed)) if _is_v4(signed) else parse_iso(signed.params["Timestamp"])
    except (KeyError, ValueError):
        return None


def _is_presigned(signed: Signed) -> bool:
    return "X-Amz-Algorithm" in signed.params


def _moment(signed: Signed) -> str:
    """What was signed, whatever else the request says: a presigned one has it among its parameters, others in a header."""
    return signed.params.get("X-Amz-Date", "") if _is_presigned(signed) else signed.header("x-amz-date")


def _is_v4(signed: Signed) -> bool:
    return _is_presigned(signed) or signed.header("authorization").startswith(V4)


def _signatures(signed: Signed, secret: str) -> Iterator[str]:
    if _is_v4(signed):
        yield _v4(signed, secret)
        return
    for host in dict.fromkeys((signed.host.lower(), signed.host.lower().rpartition(":")[0])):
        if host:  # some clients sign the host without its port
            yield _v2(signed, secret, host)


def _v2(signed: Signed, secret: str, host: str) -> str:
    known = {key: value for key, value in signed.params.items() if key != "Signature"}
    text = "\n".join((signed.verb, host, signed.path, _query(known)))
    kind = HASHES.get(known.get("SignatureMethod", ""), hashlib.sha256)
    return base64.b64encode(hmac.new(secret.encode(), text.encode(errors="replace"), kind).digest()).decode()


def _v4(signed: Signed, secret: str) -> str:
    """Empty, and so never right, where the request does not say what was signed."""
    said = authorization(signed)
    if said is None:
        return ""
    credential, names = said
    date, _, scope = credential.partition("/")[2].partition("/")
    moment = _moment(signed)
    if not moment.startswith(date) or "host" not in names or not scope.endswith("/aws4_request"):
        return ""
    query = {} if signed.verb == "POST" and not _is_presigned(signed) else signed.params
    headers = "".join(f"{name}:{' '.join(signed.header(name).split())}\n" for name in names)
    request = "\n".join((
        signed.verb, quote(signed.path or "/", safe="/~"), _query({k: v for k, v in query.items() if k != "X-Amz-Signature"}),
        headers, ";".join(names), signed.body_hash,
    ))  # fmt: skip
    text = "\n".join((V4, moment, f"{date}/{scope}", hashlib.sha256(request.encode(errors="replace")).hexdigest()))
    return hmac.new(v4_key(secret, date, scope), text.encode(), hashlib.sha256).hexdigest()


def v4_key(secret: str, date: str, scope: str) -> bytes:
    """`scope` is region/service/aws4_request."""
    key = f"AWS4{secret}".encode()
    for part in (date, *scope.split("/")):
        key = hmac.new(key, part.encode(errors="replace"), hashlib.sha256).digest()
    return key


def authorization(signed: Signed) -> tuple[str, list[str]] | None:
    """(credential, names of the signed headers) of a version 4 request; None where it lacks them."""
    if _is_presigned(signed):
        found: Mapping[str, str] = {
            name: signed.params.get(f"X-Amz-{name}", "") for name in ("Credential", "SignedHeaders")
        }
    else:
        said = signed.header("authorization").removeprefix(V4)
        found = dict(part.strip().partition("=")[::2] for part in said.split(","))
    credential, names = found.get("Credential", ""), found.get("SignedHeaders", "")
    if credential.count("/") != 4 or not names:
        return None
    return credential, names.split(";")


def _query(params: Mapping[str, str]) -> str:
    pairs = sorted((quote(key, safe="-_.~"), quote(value, safe="-_.~")) for key, value in params.items())
    return "&".join(f"{key}={value}" for key, value in pairs)


def _compact(written: str) -> dt.datetime:
    return dt.datetime.strptime(written, V4_TIME).replace(tzinfo=dt.UTC)


# ---- S3: the receiver sends the text that was signed


class SignedText(msgspec.Struct, kw_only=True):
    """`token` is the signed text in base64."""

    access: str
    signature: str
    token: str


def s3_is_right(signed: SignedText, secret: str) -> bool:
    try:
        text = base64.urlsafe_b64decode(signed.token)
    except ValueError:
        return False
    if text.startswith(b"AWS4"):
        right = _s3_v4(text, secret)
    else:
        right = base64.b64encode(hmac.new(secret.encode(), text, hashlib.sha1).digest()).decode()
    return bool(right) and hmac.compare_digest(right.encode(), signed.signature.encode(errors="replace"))


def s3_is_timely(signed: SignedText, now: dt.datetime) -> bool:
    """The moment is the second line of version 4; older texts have it where no one but S3 knows to look for it."""
    try:
        text = base64.urlsafe_b64decode(signed.token)
        return not text.startswith(b"AWS4") or abs(now - _compact(text.split(b"\n")[1].decode())) <= WINDOW
    except (ValueError, IndexError):
        return False


def _s3_v4(text: bytes, secret: str) -> str:
    lines = text.decode(errors="replace").split("\n")
    if len(lines) != 4 or lines[0] != V4 or not lines[2].endswith("/aws4_request") or lines[2].count("/") != 3:
        return ""
    date, _, scope = lines[2].partition("/")
    return hmac.new(v4_key(secret, date, scope), text, hashlib.sha256).hexdigest()
