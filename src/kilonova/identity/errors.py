"""Identity's refusals, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest, Conflict, Forbidden, NotFound, TooManyRequests, Unauthorized

ASSUMED = " The server could not comply with the request since it is either malformed or otherwise incorrect."


class NotAuthenticated(Unauthorized):
    """Has the same text whatever the reason: the caller must not learn which part was wrong."""


class UnsupportedMethod(Unauthorized):
    template = "Attempted to authenticate with an unsupported method."


class NotAllowed(Forbidden):
    template = "You are not authorized to perform the requested action: {action}."


class Refused(Forbidden):
    template = "{reason}"


class TooManyLogins(TooManyRequests):
    template = "Too many logins are waiting; try again later."


class PasswordLocked(BadRequest):
    template = (
        "You cannot change your password at this time due to password policy disallowing password changes. Please contact"
        " your administrator to reset your password."
    )


class ResourceUpdateForbidden(Forbidden):
    template = 'Unable to update immutable {kind} resource: `{id}`. Set resource option "immutable" to false first.'


class ResourceDeleteForbidden(Forbidden):
    template = 'Unable to delete immutable {kind} resource: `{id}`. Set resource option "immutable" to false first.'


class Missing(BadRequest):
    template = "Expecting to find {attribute} in {target}." + ASSUMED + " The client is assumed to be in error."


class Invalid(BadRequest):
    template = "{reason}"


class Duplicate(Conflict):
    template = "Conflict occurred attempting to store {kind} - {details}."


class UserNotFound(NotFound):
    template = "Could not find user: {id}."


class GroupNotFound(NotFound):
    template = "Could not find group: {id}."


class MembershipNotFound(NotFound):
    template = "User '{user}' not found in group '{group}'"


class ProjectNotFound(NotFound):
    template = "Could not find project: {id}."


class DomainNotFound(NotFound):
    template = "Could not find domain: {id}."


class RoleNotFound(NotFound):
    template = "Could not find role: {id}."


class ImpliedRoleNotFound(NotFound):
    template = "{prior} does not imply {implied}."


class AssignmentNotFound(NotFound):
    template = "Could not find role assignment with role: {role}, user or group: {actor}, project, domain, or system: {target}."


class RegionNotFound(NotFound):
    template = "Could not find region: {id}."


class ServiceNotFound(NotFound):
    template = "Could not find service: {id}."


class EndpointNotFound(NotFound):
    template = "Could not find endpoint: {id}."


class CredentialNotFound(NotFound):
    template = "Could not find credential: {id}."


class ApplicationCredentialNotFound(NotFound):
    template = "Could not find Application Credential: {id}."


class ApplicationCredentialLimit(Forbidden):
    template = "Unable to create additional application credentials, maximum of {limit} already exceeded for user."


class CredentialLimit(Forbidden):
    template = "Unable to create additional credentials, maximum of {limit} already exceeded for user."


class TokenNotFound(NotFound):
    template = "Failed to validate token"


class TagNotFound(NotFound):
    template = "Could not find project tag: {tag}."


class RegionInUse(Forbidden):
    template = "Unable to delete region {id} because it or its child regions have associated endpoints."
