import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  DashboardCursorSync as Cursor,
  type Dashboard,
  DashboardBuilder,
  type Panel,
  RowBuilder as Row,
  type VariableModel,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { type DashboardName, TAG, toAll, UIDS } from './links.ts'
import { pipelineVariables, runbooksVariable } from './variables.ts'

export type DashboardSpec = {
  readonly name: DashboardName
  readonly title: string
  readonly description: string
  /** Beside those of the pipeline. */
  readonly variables?: readonly Builder<VariableModel>[]
  /** Rows of panels; the widths of what stands in a line add up to 24. */
  readonly sections: readonly { readonly title: string; readonly panels: readonly Builder<Panel>[] }[]
}

/** Everything that is the same in all dashboards is said here. */
export function dashboardOf({ name, title, description, variables = [], sections }: DashboardSpec): Dashboard {
  const made = new DashboardBuilder(title)
    .uid(UIDS[name])
    .description(description)
    .tags([TAG])
    .readonly()
    .tooltip(Cursor.Crosshair)
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .timezone('browser')
    .variables([...pipelineVariables(), ...variables, runbooksVariable()])
    .link(toAll())
  for (const { title: heading, panels } of sections) {
    made.withRow(new Row(heading))
    for (const panel of panels) made.withPanel(panel)
  }
  const dashboard = made.build()
  // Addresses of single panels hold these numbers: left out, Grafana would give out its own each time.
  dashboard.panels?.forEach((panel, index) => {
    panel.id = index + 1
  })
  return dashboard
}
