"""Measures running services: load, processor time, memory, and the table of it all. Never starts a target."""
