"""Server actions: one file each, found by `registry`. How to add one: docs/contributing/checklists.md."""
