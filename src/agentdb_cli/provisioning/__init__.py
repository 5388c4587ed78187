"""Provisioning: roles, a database, its privileges and extensions, brought to a wanted state."""
