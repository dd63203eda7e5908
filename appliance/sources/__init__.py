"""Where events come from: the schema for camera programs, the intake, and the doors spool and ingest."""
