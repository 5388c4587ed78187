-- title: Settings that differ from PostgreSQL's own defaults
-- advice: pending_restart: restart the server for it to take effect. ALTER SYSTEM RESET name and
--         SELECT pg_reload_conf() bring a default back; agentdb config show shows agentdb's own.
-- columns: value, boot_value: in unit
-- sort: pending_restart desc
-- requires: role pg_read_all_settings
SELECT s.name,
       -- Connection strings and URLs may hold a password.
       pg_catalog.regexp_replace(
           pg_catalog.regexp_replace(
               s.setting, '(password\s*=\s*)(''(\\.|[^''\\])*''|[^\s'';&]+)', '\1********', 'gi'),
           '(://[^:/@\s]*:)[^@\s]+@', '\1********@', 'g') AS value,
       s.unit,
       s.boot_val AS boot_value,
       s.source,
       CASE WHEN s.sourcefile IS NOT NULL
            THEN pg_catalog.concat(s.sourcefile, ':', s.sourceline) END AS source_file,
       s.pending_restart,
       s.context
FROM pg_catalog.pg_settings AS s
WHERE s.pending_restart
   -- What this session sets for itself ("client", "session") is no setting of the server.
   OR (s.setting IS DISTINCT FROM s.boot_val
       AND s.source NOT IN ('default', 'override', 'client', 'session'))
ORDER BY s.pending_restart DESC, s.name;
