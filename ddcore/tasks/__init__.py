"""Tasks: kept in folders, queued, computed by workers."""
