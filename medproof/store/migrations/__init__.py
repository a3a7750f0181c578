"""The steps from one version of a record store's tables to the next, in Alembic's form. A step is never changed."""
