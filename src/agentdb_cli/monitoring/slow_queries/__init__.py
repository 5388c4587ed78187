"""Which statements take the server's time: from pg_stat_statements, or by sampling."""
