import type { Migration } from './migration.ts'

export const windows: Migration = {
  version: 1,
  name: 'windows',
  sql: `
CREATE TYPE tidemark.window_status AS ENUM ('provisional', 'final', 'corrected');

CREATE TABLE tidemark.windows (
  size text NOT NULL,
  window_start timestamptz NOT NULL,
  window_end timestamptz NOT NULL,
  size_seconds double precision NOT NULL,
  generation integer NOT NULL,
  revision bigint NOT NULL,
  status tidemark.window_status NOT NULL,
  exact boolean NOT NULL,
  result_time timestamptz NOT NULL,
  batch_size bigint NOT NULL,
  users_distinct bigint NOT NULL,
  users_exact boolean NOT NULL,
  users_relative_error double precision NOT NULL,
  user_devices bigint NOT NULL,
  logins_min bigint NOT NULL,
  logins_avg double precision NOT NULL,
  logins_max bigint NOT NULL,
  sessions_started bigint NOT NULL,
  sessions_active bigint NOT NULL,
  session_avg_seconds double precision NOT NULL,
  events_per_session double precision NOT NULL,
  most_popular_device_type text,
  most_popular_locale text,
  most_popular_app_version text,
  least_popular_device_type text,
  least_popular_locale text,
  least_popular_app_version text,
  result jsonb NOT NULL,
  PRIMARY KEY (size, window_start)
);
COMMENT ON TABLE tidemark.windows IS 'A row for each window: the result that stands highest by (generation, revision, status).';
COMMENT ON COLUMN tidemark.windows.batch_size IS 'Logins that were accepted into the window.';
COMMENT ON COLUMN tidemark.windows.result_time IS 'When the result was written: its current_time.';
COMMENT ON COLUMN tidemark.windows.exact IS 'False when a count may be wrong or cut; users_exact says it of the users.';
CREATE INDEX windows_provisional ON tidemark.windows (window_start, window_end) WHERE status = 'provisional';
CREATE INDEX windows_by_time ON tidemark.windows (window_start);

CREATE VIEW tidemark.window_values AS
SELECT w.size, w.window_start, d.dimension, each.value, each.count::bigint AS count
FROM tidemark.windows w
CROSS JOIN LATERAL (VALUES
  ('device_type', w.result -> 'device_stats'), ('locale', w.result -> 'location_stats'),
  ('app_version', w.result -> 'app_version_stats'), ('version_category', w.result -> 'version_category_stats'),
  ('country', w.result -> 'country_stats'), ('region', w.result -> 'region_stats'),
  ('hour', w.result -> 'hour_stats'), ('day_part', w.result -> 'day_part_stats'),
  ('missing', w.result -> 'quality' -> 'missing'), ('invalid', w.result -> 'quality' -> 'invalid')
) AS d (dimension, counts)
CROSS JOIN LATERAL jsonb_each_text(d.counts) AS each (value, count);
COMMENT ON VIEW tidemark.window_values IS
  'A row for each value that a window counts; missing and invalid count fields by name. Taken from the windows themselves: choose size, time and dimension, and only those are taken apart.';

CREATE TABLE tidemark.positions (
  topic text NOT NULL,
  partition integer NOT NULL,
  next_offset bigint NOT NULL,
  generation integer NOT NULL,
  PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE tidemark.positions IS
  'How far each partition of the results topic is written here; changed in one transaction with the rows.';

CREATE TABLE tidemark.levels (
  size text PRIMARY KEY,
  size_ms bigint NOT NULL,
  tiles boolean NOT NULL,
  generation integer NOT NULL
);
COMMENT ON TABLE tidemark.levels IS
  'The window sizes of the newest generation. Those that tile time can be added up; windows that slide overlap.';
`,
}
