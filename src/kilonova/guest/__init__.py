"""A small Linux guest of our own, built from Debian packages, for tests, demonstrations and first steps."""
