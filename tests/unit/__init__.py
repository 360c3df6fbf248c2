"""No database and no HTTP: functions, classes, tables."""
