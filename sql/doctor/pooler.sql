-- title: Connection pooler
-- area: infrastructure
-- needs: pg_monitor
-- why: a session costs memory and a slot of max_connections also while it waits; with a pooler in between
--      some dozens serve hundreds of agents
-- source: agentdb: more than half of max_connections, or over 100 sessions, idle; Background Agents' check-list
--         asks for PgBouncer
SELECT CASE
           WHEN :pooled THEN 'ok'
           WHEN s.idle > 100 OR s.idle * 2 > s.most THEN 'warning'
           ELSE 'ok'
       END AS status,
       CASE WHEN :pooled THEN 'this session came through one'
            ELSE pg_catalog.format(
                'none seen; %s of %s sessions idle, max_connections is %s', s.idle, s.sessions, s.most
            )
       END AS value,
       NULL AS sql,
       NULL AS caution,
       'put PgBouncer (pool_mode = transaction) in between, or make the pools of the applications smaller'
           AS advice
FROM (
    SELECT pg_catalog.count(*) FILTER (WHERE a.state = 'idle') AS idle,
           pg_catalog.count(*) AS sessions,
           pg_catalog.current_setting('max_connections')::int AS most
    FROM pg_catalog.pg_stat_activity AS a
    WHERE a.backend_type = 'client backend'
) AS s;
