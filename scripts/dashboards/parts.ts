import type { Builder } from '@grafana/grafana-foundation-sdk/cog'
import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphThresholdsStyleConfigBuilder as DrawnThresholds,
  VizLegendOptionsBuilder as Legend,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder as Reduced,
  SortOrder,
  StackingConfigBuilder as Stacking,
  StackingMode,
  GraphThresholdsStyleMode as ThresholdsStyle,
  VizTooltipOptionsBuilder as Tooltip,
  TooltipDisplayMode,
  VisibilityMode,
} from '@grafana/grafana-foundation-sdk/common'
import {
  type DashboardLink,
  MappingType,
  type Panel,
  ThresholdsConfigBuilder as Thresholds,
  ThresholdsMode,
  type ValueMapping,
} from '@grafana/grafana-foundation-sdk/dashboard'
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus'
import { PanelBuilder as StatPanel } from '@grafana/grafana-foundation-sdk/stat'
import { PanelBuilder as TimelinePanel } from '@grafana/grafana-foundation-sdk/statetimeline'
import { PanelBuilder as TablePanel } from '@grafana/grafana-foundation-sdk/table'
import { PanelBuilder as SeriesPanel } from '@grafana/grafana-foundation-sdk/timeseries'
import type { Query } from './query.ts'
import { DATA_SOURCE } from './variables.ts'

/** A value from which on a colour holds; the first step has none. */
export type Steps = readonly [base: string, ...above: readonly (readonly [value: number, color: string])[]]

/** What every panel has. */
export type PanelSpec = {
  readonly title: string
  /** For someone who sees Tidemark for the first time: what it is, and what is good or bad. */
  readonly description: string
  readonly queries: readonly Query[]
  /** A unit of Grafana's. */
  readonly unit: string
  /** Columns, of 24. */
  readonly width: number
  readonly steps?: Steps
  readonly links?: readonly Builder<DashboardLink>[]
}

/** Good at zero, and a matter for somebody above. */
export const NONE_WANTED: Steps = ['green', [1, 'red']]

const STAT_ROWS = 4
const SERIES_ROWS = 8
/** What has a line for each partition. */
const TALL_ROWS = 10

/** One number, as it is now. */
export function stat(spec: PanelSpec & { readonly mappings?: readonly ValueMapping[] }): Builder<Panel> {
  const { steps = ['text'], mappings = [] } = spec
  const panel = described(new StatPanel(), spec, STAT_ROWS)
    .thresholds(thresholds(steps))
    .mappings([...mappings])
    .colorMode(steps.length > 1 ? BigValueColorMode.Background : BigValueColorMode.Value)
    .graphMode(BigValueGraphMode.None)
    .reduceOptions(new Reduced().calcs(['lastNotNull']))
    .noValue('–')
  for (const made of targets(spec.queries)) panel.withTarget(made.instant())
  return panel
}

/** Lines over time; with steps, each a dashed line. */
export function series(spec: PanelSpec & { readonly stacked?: boolean; readonly max?: number }): Builder<Panel> {
  const { steps, stacked = false } = spec
  const panel = described(new SeriesPanel(), spec, SERIES_ROWS)
    .min(0)
    .lineWidth(1)
    .fillOpacity(stacked ? 30 : 8)
    .showPoints(VisibilityMode.Never)
    .stacking(new Stacking().mode(stacked ? StackingMode.Normal : StackingMode.None))
    .legend(new Legend().displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom).showLegend(true))
    .tooltip(new Tooltip().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
  if (spec.max !== undefined) panel.max(spec.max)
  if (steps !== undefined) {
    panel.thresholds(thresholds(steps)).thresholdsStyle(new DrawnThresholds().mode(ThresholdsStyle.Dashed))
  }
  for (const made of targets(spec.queries)) panel.withTarget(made.range())
  return panel
}

/** A band of states for each series, with a word and a colour for each value. */
export function timeline(spec: PanelSpec & { readonly mappings: readonly ValueMapping[] }): Builder<Panel> {
  const panel = described(new TimelinePanel(), spec, TALL_ROWS)
    .mappings([...spec.mappings])
    .mergeValues(true)
    .showValue(VisibilityMode.Never)
    .rowHeight(0.85)
    .legend(new Legend().displayMode(LegendDisplayMode.List).placement(LegendPlacement.Bottom).showLegend(true))
  for (const made of targets(spec.queries)) panel.withTarget(made.range())
  return panel
}

/** A column of a table: the last value of a query for each combination of the table's labels. */
export type Column = {
  readonly title: string
  readonly expr: string
  readonly unit: string
  readonly mappings?: readonly ValueMapping[]
  readonly steps?: Steps
}

/**
 * A row for each combination of `labels`, by which every column's expression groups.
 * The queries are told by letters, and Grafana calls their values `Value #A`, `Value #B`, ….
 */
export function table(
  spec: Omit<PanelSpec, 'queries' | 'unit'> & {
    readonly labels: readonly string[]
    readonly columns: readonly Column[]
  },
): Builder<Panel> {
  const { columns, labels } = spec
  const panel = described(new TablePanel(), { ...spec, queries: [], unit: 'short' }, TALL_ROWS)
  for (const made of targets(columns)) panel.withTarget(made.instant().format(PromQueryFormat.Table))
  for (const { title, unit, mappings, steps } of columns) {
    panel.overrideByName(title, [
      { id: 'unit', value: unit },
      ...(mappings === undefined ? [] : [{ id: 'mappings', value: mappings }]),
      ...(steps === undefined ? [] : colored(steps)),
    ])
  }
  const names = columns.map(({ title }, index) => [`Value #${letterOf(index)}`, title] as const)
  const order = [...labels, ...names.map(([name]) => name)].map((name, index) => [name, index] as const)
  return panel.withTransformation({ id: 'merge', options: {} }).withTransformation({
    id: 'organize',
    options: {
      excludeByName: { Time: true },
      indexByName: Object.fromEntries(order),
      renameByName: Object.fromEntries(names),
    },
  })
}

/** Words and colours for values. */
export function words(of: Readonly<Record<string, readonly [text: string, color: string]>>): ValueMapping[] {
  const options = Object.entries(of).map(([value, [text, color]], index) => [value, { text, color, index }] as const)
  return [{ type: MappingType.ValueToText, options: Object.fromEntries(options) }]
}

function colored(steps: Steps) {
  return [
    { id: 'thresholds', value: thresholds(steps).build() },
    { id: 'custom.cellOptions', value: { type: 'color-text' } },
  ]
}

function thresholds([base, ...above]: Steps): Thresholds {
  const steps = above.map(([value, color]) => ({ value, color }))
  return new Thresholds().mode(ThresholdsMode.Absolute).steps([{ value: null, color: base }, ...steps])
}

/** @param rows the height in the grid */
function described<P extends Described<P>>(
  panel: P,
  { title, description, unit, width, links }: PanelSpec,
  rows: number,
): P {
  const made = panel.title(title).description(description).datasource(DATA_SOURCE).unit(unit).span(width).height(rows)
  return links === undefined ? made : made.links([...links])
}

/** What the builders of all kinds of panels have in common. */
type Described<P> = {
  title(title: string): P
  description(description: string): P
  datasource(source: typeof DATA_SOURCE): P
  unit(unit: string): P
  span(columns: number): P
  height(rows: number): P
  links(links: Builder<DashboardLink>[]): P
}

function targets(queries: readonly Query[]): DataqueryBuilder[] {
  return queries.map(({ expr, legend, exemplars = false }, index) => {
    const made = new DataqueryBuilder().expr(expr).refId(letterOf(index))
    if (legend !== undefined) made.legendFormat(legend)
    return exemplars ? made.exemplar(true) : made
  })
}

/** By which Grafana tells the queries of a panel. */
function letterOf(index: number): string {
  return String.fromCharCode(65 + index)
}
