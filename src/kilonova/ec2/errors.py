"""Errors as EC2 names them: a code for programs, a sentence for people."""

from __future__ import annotations

from kilonova.core.errors import KilonovaError


class Ec2Error(KilonovaError):
    """`code` is EC2's; its usual HTTP status is 400."""

    status = 400
    code: str = "InternalError"


class AuthFailure(Ec2Error):
    status = 401
    code = "AuthFailure"
    template = "AWS was not able to validate the provided access credentials"


class RequestRepeated(AuthFailure):
    template = "This very request was sent before: sign it anew."


class MissingAuthenticationToken(Ec2Error):
    status = 403
    code = "MissingAuthenticationToken"
    template = "The request must contain either a valid (registered) AWS access key ID or X.509 certificate"


class SignatureDoesNotMatch(Ec2Error):
    status = 403
    code = "SignatureDoesNotMatch"
    template = "{reason}"


class RequestExpired(Ec2Error):
    code = "RequestExpired"
    template = "Request has expired."


class InvalidAction(Ec2Error):
    code = "InvalidAction"
    template = "The action {action} is not valid for this web service."


class UnsupportedOperation(Ec2Error):
    code = "UnsupportedOperation"
    template = "The functionality you requested is not available in this region: {what}."


class MissingParameter(Ec2Error):
    code = "MissingParameter"
    template = "The request must contain the parameter {name}"


class UnknownParameter(Ec2Error):
    code = "UnknownParameter"
    template = "The parameter {name} is not recognized"


class InvalidParameterValue(Ec2Error):
    code = "InvalidParameterValue"
    template = "Value ({value}) for parameter {name} is invalid. {reason}"


class InvalidParameterCombination(Ec2Error):
    code = "InvalidParameterCombination"
    template = "{reason}"


class MalformedQueryString(Ec2Error):
    code = "MalformedQueryString"
    template = "The query string is malformed: {reason}"


class DryRunOperation(Ec2Error):
    status = 412
    code = "DryRunOperation"
    template = "Request would have succeeded, but DryRun flag is set."


class UnauthorizedOperation(Ec2Error):
    status = 403
    code = "UnauthorizedOperation"
    template = "You are not authorized to perform this operation."


class CodedError(Ec2Error):
    """One of EC2's many codes that say which kind of thing is wrong: InvalidInstanceID.NotFound, DependencyViolation …"""

    template = "{reason}"

    @property
    def code(self) -> str:  # type: ignore[override]
        return str(self.params["code"])


def coded(code: str, reason: str) -> CodedError:
    return CodedError(code=code, reason=reason)
