import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard'
import { overview } from './overview.ts'
import { partitions } from './partitions.ts'
import { runtime } from './runtime.ts'
import { windows } from './windows.ts'

/** Where the chart finds them, and Compose's Grafana too. */
export const DASHBOARDS_FOLDER = 'charts/tidemark/dashboards'

const DASHBOARDS: Readonly<Record<string, () => Dashboard>> = { overview, partitions, windows, runtime }

/** The dashboards' files by their paths from the root. The texts are JSON, not yet formatted as the linter wants it. */
export function dashboardFiles(): Map<string, string> {
  const files = Object.entries(DASHBOARDS).map(([name, made]) => {
    return [`${DASHBOARDS_FOLDER}/${name}.json`, `${JSON.stringify(made(), null, 2)}\n`] as const
  })
  return new Map(files)
}
