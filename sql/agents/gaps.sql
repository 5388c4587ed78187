-- Where heartbeats of one agent are missing within the window, the latest first.
--
-- Rounded, so that a heartbeat that came late by less than half an interval is not a gap. The last
-- heartbeat before the window counts, too: silence may have begun there. silent_until is NULL where
-- the silence lasts: there each heartbeat that is due and has not come is missed.
WITH beat AS (
    SELECT h.:"heartbeats.time_column"::timestamptz AS silent_from,
           lead(h.:"heartbeats.time_column"::timestamptz) OVER (ORDER BY h.:"heartbeats.time_column") AS silent_until
    FROM :"heartbeats.table" AS h
    WHERE h.:"heartbeats.agent_column" = :'agent'
      AND h.:"heartbeats.time_column" >= coalesce(
          (
              -- Written as in heartbeats.sql, for the same index.
              SELECT b.:"heartbeats.time_column"::timestamptz
              FROM :"heartbeats.table" AS b
              WHERE b.:"heartbeats.agent_column" >= :'agent'
                AND b.:"heartbeats.agent_column" <= :'agent'
                AND b.:"heartbeats.time_column" <= pg_catalog.now() - pg_catalog.make_interval(secs => :window)
              ORDER BY b.:"heartbeats.agent_column", b.:"heartbeats.time_column" DESC
              LIMIT 1
          ),
          pg_catalog.now() - pg_catalog.make_interval(secs => :window)
      )
), gap AS (
    SELECT silent_from, silent_until,
           CASE
               WHEN silent_until IS NULL
               THEN ceil(extract(epoch FROM pg_catalog.now() - silent_from) / :heartbeats.interval_seconds)
               ELSE round(extract(epoch FROM silent_until - silent_from) / :heartbeats.interval_seconds)
           END::int - 1 AS missed
    FROM beat
)
SELECT silent_from, silent_until, missed
FROM gap
WHERE missed > 0
ORDER BY silent_from DESC
LIMIT :limit;
