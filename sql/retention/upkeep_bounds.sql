-- title: the bounds of partitions as days, in each of some time zones
-- $1: the zones; $2, $3: bounds as moments or local times, NULL where open; $4: days that rows are kept.
-- `fits`: whether all bounds are midnight there; where a day has no midnight, its first moment is.
SELECT z.zone,
       coalesce(bool_and((b.lower IS NULL OR b.lower = pg_catalog.timezone(z.zone, d.lower::timestamp))
                     AND (b.upper IS NULL OR b.upper = pg_catalog.timezone(z.zone, d.upper::timestamp))),
                true) AS fits,
       array_agg(d.lower ORDER BY b.place) FILTER (WHERE b.place IS NOT NULL) AS lower,
       array_agg(d.upper ORDER BY b.place) FILTER (WHERE b.place IS NOT NULL) AS upper,
       (pg_catalog.timezone(z.zone, now()))::date AS today,
       (pg_catalog.timezone(z.zone, now() - pg_catalog.make_interval(days => $4::int)))::date AS cutoff
FROM unnest($1::text[]) WITH ORDINALITY AS z (zone, place)
LEFT JOIN unnest($2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS b (lower, upper, place) ON true
LEFT JOIN LATERAL (
    SELECT (pg_catalog.timezone(z.zone, b.lower))::date AS lower,
           (pg_catalog.timezone(z.zone, b.upper))::date AS upper
) AS d ON true
GROUP BY z.place, z.zone
ORDER BY z.place;
