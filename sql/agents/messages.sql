-- Messages between agents within the window, one row a sender and receiver.
SELECT m.:"messages.from_column"::text AS sender,
       m.:"messages.to_column"::text AS receiver,
       count(*) AS messages,
       max(m.:"messages.time_column")::timestamptz AS last_at
FROM :"messages.table" AS m
WHERE m.:"messages.time_column" > pg_catalog.now() - pg_catalog.make_interval(secs => :window)
  AND (m.:"messages.from_column" = :'agent' OR m.:"messages.to_column" = :'agent') -- if agent
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2;
