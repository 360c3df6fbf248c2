"""`python -m kilonova`."""

from kilonova.cli.main import main

main()
