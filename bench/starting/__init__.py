"""Starts targets on data of their own: a PostgreSQL cluster, tokens, files, the service. Never measures."""
