"""Wire shapes of logins by signed requests."""

from __future__ import annotations

from kilonova.core.web.wire import View
from kilonova.identity.signatures import Signed, SignedText


class Ec2Request(View):
    """The signed request under one of three names, as clients of upstream send it."""

    credentials: Signed | None = None
    credential: Signed | None = None
    ec2Credentials: Signed | None = None

    @property
    def signed(self) -> Signed | None:
        return self.credentials or self.credential or self.ec2Credentials


class S3Request(View):
    credentials: SignedText | None = None
    credential: SignedText | None = None

    @property
    def signed(self) -> SignedText | None:
        return self.credentials or self.credential
