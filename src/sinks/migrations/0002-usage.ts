import type { Migration } from './migration.ts'

const usage = (view: string, column: string, ms: number, unit: string) => `
CREATE VIEW tidemark.${view} AS
SELECT date_bin('1 ${unit}', window_start, timestamptz 'epoch') AS ${column},
  sum(batch_size)::bigint AS logins,
  CASE WHEN count(*) = 1 THEN max(users_distinct) END AS users,
  max(users_distinct) AS users_at_least,
  sum(users_distinct)::bigint AS users_at_most,
  sum(sessions_started)::bigint AS sessions_started,
  bool_and(exact) AS exact,
  bool_or(status = 'provisional') AS provisional,
  count(*) AS windows
FROM tidemark.tiles(${ms})
GROUP BY 1;
COMMENT ON VIEW tidemark.${view} IS
  'By ${unit} (UTC), from the longest windows that fit. users is null where it is added up from several windows, whose users may be the same.';
`

export const usageViews: Migration = {
  version: 2,
  name: 'usage',
  sql: `
CREATE FUNCTION tidemark.tiles(longest_ms bigint DEFAULT NULL) RETURNS SETOF tidemark.windows
LANGUAGE sql STABLE AS $$
  SELECT w.* FROM tidemark.windows w
  JOIN tidemark.levels l ON l.size = w.size AND l.tiles AND (longest_ms IS NULL OR l.size_ms <= longest_ms)
  WHERE NOT EXISTS (
    SELECT FROM tidemark.levels above
    JOIN tidemark.windows p ON p.size = above.size AND p.window_start = date_bin(
      make_interval(secs => above.size_ms / 1000.0), w.window_start, timestamptz 'epoch')
    WHERE above.tiles AND above.size_ms > l.size_ms AND (longest_ms IS NULL OR above.size_ms <= longest_ms)
      AND p.status <> 'provisional'
  ) AND (w.status <> 'provisional' OR NOT EXISTS (
    SELECT FROM tidemark.levels below
    JOIN tidemark.windows c ON c.size = below.size
      AND c.window_start >= w.window_start AND c.window_start < w.window_end
    WHERE below.tiles AND below.size_ms < l.size_ms
  ))
$$;
COMMENT ON FUNCTION tidemark.tiles IS
  'Windows, none longer than asked for, that can be added up: no login is in two of them. A window stands for those within it once it is no longer provisional; until then they do, since they are renewed more often.';
${usage('usage_hourly', 'hour', 3_600_000, 'hour')}
${usage('usage_daily', 'day', 86_400_000, 'day')}
CREATE VIEW tidemark.popular_values AS
SELECT w.size, w.window_start, w.window_end, w.status, d.dimension,
  d.most AS most_popular, (d.counts ->> d.most)::bigint AS most_popular_count,
  d.least AS least_popular, (d.counts ->> d.least)::bigint AS least_popular_count
FROM tidemark.windows w
CROSS JOIN LATERAL (VALUES
  ('device_type', w.most_popular_device_type, w.least_popular_device_type, w.result -> 'device_stats'),
  ('locale', w.most_popular_locale, w.least_popular_locale, w.result -> 'location_stats'),
  ('app_version', w.most_popular_app_version, w.least_popular_app_version, w.result -> 'app_version_stats')
) AS d (dimension, most, least, counts);
COMMENT ON VIEW tidemark.popular_values IS 'For each window the values counted most and least, of those that are known.';

CREATE VIEW tidemark.quality AS
SELECT w.size, w.window_start, w.window_end, w.status, v.value AS field, w.batch_size AS logins,
  sum(v.count) FILTER (WHERE v.dimension = 'missing')::bigint AS missing,
  sum(v.count) FILTER (WHERE v.dimension = 'invalid')::bigint AS invalid,
  sum(v.count)::double precision / nullif(w.batch_size, 0) AS unusable_share
FROM tidemark.windows w
JOIN tidemark.window_values v USING (size, window_start)
WHERE v.dimension IN ('missing', 'invalid')
GROUP BY w.size, w.window_start, v.value;
COMMENT ON VIEW tidemark.quality IS
  'For each window and field that some logins left out (missing) or had of a wrong kind (invalid): how many.';
`,
}
