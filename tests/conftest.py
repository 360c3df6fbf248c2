"""Plug-ins all tests share."""

pytest_plugins = ["tests.conftest_guest"]
