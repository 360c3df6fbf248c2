"""Identity: users, projects, roles and tokens. Keystone v3, and the older v2.0 and v1 logins for the same tokens."""
