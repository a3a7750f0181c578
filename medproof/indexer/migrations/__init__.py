"""Steps from one version of an index's tables to the next, oldest first; Alembic runs what is missing."""
