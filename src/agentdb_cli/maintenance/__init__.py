"""Upkeep of tables and indexes: VACUUM and REINDEX that say truly what they have done."""
