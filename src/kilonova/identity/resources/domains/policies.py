"""Policy rules of domains."""

from __future__ import annotations

from kilonova.identity.web.checks import READER, crud_rules

DOMAIN_READ = f"{READER} or domain_id:%(target.domain.id)s or project_domain_id:%(target.domain.id)s"

RULES = crud_rules("domain", "domains", read=DOMAIN_READ)
