import type { Migration } from './migration.ts'

export const historyViews: Migration = {
  version: 3,
  name: 'history',
  sql: `
CREATE VIEW tidemark.history_values AS
SELECT v.dimension, v.value, sum(v.count)::bigint AS count
FROM tidemark.tiles() w
JOIN tidemark.window_values v ON v.size = w.size AND v.window_start = w.window_start
GROUP BY v.dimension, v.value;
COMMENT ON VIEW tidemark.history_values IS 'All windows that are kept, added up by dimension and value; no login is added twice.';

CREATE VIEW tidemark.history AS
WITH total AS (
  SELECT min(window_start) AS history_start, max(window_end) AS history_end,
    coalesce(sum(batch_size), 0)::bigint AS logins,
    coalesce(max(users_distinct), 0) AS users_at_least,
    coalesce(sum(users_distinct), 0)::bigint AS users_at_most,
    coalesce(sum(sessions_started), 0)::bigint AS sessions_started,
    coalesce(bool_and(exact), true) AS exact,
    count(*) AS windows, count(*) FILTER (WHERE status = 'provisional') AS provisional
  FROM tidemark.tiles()
), known AS MATERIALIZED (
  SELECT dimension, value, count FROM tidemark.history_values
  WHERE dimension IN ('device_type', 'locale', 'app_version') AND value NOT IN ('unknown', '(other)')
), most AS (
  SELECT DISTINCT ON (dimension) dimension, value FROM known ORDER BY dimension, count DESC, value COLLATE "C"
), least AS (
  SELECT DISTINCT ON (dimension) dimension, value FROM known ORDER BY dimension, count, value COLLATE "C"
)
SELECT total.*,
  (SELECT value FROM most WHERE dimension = 'device_type') AS most_popular_device_type,
  (SELECT value FROM most WHERE dimension = 'locale') AS most_popular_locale,
  (SELECT value FROM most WHERE dimension = 'app_version') AS most_popular_app_version,
  (SELECT value FROM least WHERE dimension = 'device_type') AS least_popular_device_type,
  (SELECT value FROM least WHERE dimension = 'locale') AS least_popular_locale,
  (SELECT value FROM least WHERE dimension = 'app_version') AS least_popular_app_version
FROM total;
COMMENT ON VIEW tidemark.history IS 'One row about all windows that are kept. Users of two windows may be the same: so many there are at least, and at most.';
`,
}
