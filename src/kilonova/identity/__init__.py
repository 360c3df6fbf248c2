"""Identity: who may do what. Keystone v3, with the older v2.0 and v1 logins in front of the same tokens."""
