import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  CustomVariableBuilder as CustomVariable,
  DatasourceVariableBuilder as DataSourceVariable,
  QueryVariableBuilder as QueryVariable,
  TextBoxVariableBuilder as TextVariable,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard'

/** The data source that is chosen above the panels. */
export const DATA_SOURCE = { type: 'prometheus', uid: `\${datasource}` } as const

/** What every dashboard lets one choose: where the metrics are, and which pipeline is meant. */
export function pipelineVariables(): Builder<VariableModel>[] {
  return [
    new DataSourceVariable('datasource').label('Data source').type('prometheus'),
    // One at a time: the sum of a trial and of production would be no one's numbers.
    labelValues('namespace', 'Namespace', 'tidemark_build_info'),
    several(labelValues('job', 'Job', 'tidemark_build_info{namespace=~"$namespace"}')),
  ]
}

export function podVariable(): Builder<VariableModel> {
  return several(labelValues('pod', 'Pod', 'tidemark_build_info{namespace=~"$namespace",job=~"$job"}'))
}

/** Whose partitions are meant: those of the source topic, of the partials topics or of the results topic. */
export function roleVariable(): Builder<VariableModel> {
  return new CustomVariable('role')
    .label('Role')
    .values('aggregate,reduce,sink,serve')
    .current({ text: 'aggregate', value: 'aggregate', selected: true })
}

/** Where the runbooks are: a page with a heading for each alert. */
export function runbooksVariable(): Builder<VariableModel> {
  return new TextVariable('runbooks').label('Runbooks at').defaultValue(RUNBOOKS)
}

/** What compose.yaml lets Grafana itself answer; the chart puts metrics.prometheusRule.runbookUrl in its place. */
export const RUNBOOKS = '/public/runbooks/README.md'

function labelValues(label: string, title: string, of: string): QueryVariable {
  return new QueryVariable(label)
    .label(title)
    .datasource(DATA_SOURCE)
    .query({ query: `label_values(${of}, ${label})`, refId: label })
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
}

function several(variable: QueryVariable): QueryVariable {
  return (
    variable
      .multi(true)
      .includeAll(true)
      // Also what has no such label at all.
      .allValue('.*')
      .current({ text: ['All'], value: ['$__all'], selected: true })
  )
}
