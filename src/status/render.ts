import type picocolors from 'picocolors'
import type {
  PartitionStatus,
  PodStatus,
  ReducerStatus,
  ScalerStatus,
  SideState,
  StatusReport,
  WindowStatus,
  WorkloadStatus,
} from './report.ts'
import { type Cell, type Column, tableLines } from './table.ts'

export type RenderOptions = {
  readonly colors: ReturnType<typeof picocolors.createColors>
  /** Columns of the terminal. */
  readonly width: number
}

type Section<T> = {
  readonly title: string
  readonly columns: readonly Column[]
  readonly cells: (item: T) => readonly Cell[]
}

const NONE = '-'

/**
 * The report as text for people, ending with a line feed.
 * @param problems see problemsOf
 */
export function renderStatus(report: StatusReport, problems: readonly string[], options: RenderOptions): string {
  const { bold, dim, red, yellow } = options.colors
  const { workloads, scalers, pods, partitions, reducers, windows } = report
  const nowMs = Date.parse(report.at)
  const lines = [
    `${bold(`Tidemark ${report.version}`)}  generation ${report.generation}  ${timeText(report.at)}`,
    ...Object.entries(report.sides).map(([name, side]) => sideLine(name, side, options)),
    ...section(workloadSection(options), workloads, options),
    ...section(scalerSection(options), scalers, options),
    ...section(podSection(nowMs, report, options), pods, options),
    ...section(partitionSection(nowMs, options), partitions, options),
    ...section(reducerSection(options), reducers, options),
    ...section(windowSection(options), windows, options),
    ...countLines(report),
  ]
  if (report.notes.length > 0) lines.push('', ...report.notes.map(note => dim(`note: ${note}`)))
  if (problems.length > 0) lines.push('', ...problems.map(problem => `${red('wrong:')} ${yellow(problem)}`))
  return `${lines.join('\n')}\n`
}

function sideLine(name: string, side: SideState, { colors }: RenderOptions): string {
  const head = name.padEnd(10)
  if (side.state === 'answered') return `${colors.green('●')} ${head}  ${side.at}`
  if (side.state === 'off') return `${colors.dim(`○ ${head}  not asked: ${side.reason}`)}`
  return `${colors.red('✗')} ${head}  ${side.at}: ${side.reason}`
}

function section<T>({ title, columns, cells }: Section<T>, items: readonly T[], options: RenderOptions): string[] {
  if (items.length === 0) return []
  const { bold, dim } = options.colors
  return ['', bold(title), ...tableLines(columns, items.map(cells), options.width, dim)]
}

const right = (head: string, drop?: number): Column => ({ head, right: true, ...(drop === undefined ? {} : { drop }) })

function workloadSection({ colors }: RenderOptions): Section<WorkloadStatus> {
  return {
    title: 'Deployments',
    columns: [
      { head: 'name' },
      { head: 'role', drop: 1 },
      right('wanted'),
      right('current', 3),
      right('ready'),
      right('updated', 2),
    ],
    cells: ({ name, component, wanted, current, ready, updated }) => {
      const told = { text: String(ready), paint: ready < wanted ? colors.red : colors.green }
      return [name, component, String(wanted), String(current), told, String(updated)]
    },
  }
}

function scalerSection({ colors }: RenderOptions): Section<ScalerStatus> {
  return {
    title: 'Scaling',
    columns: [
      { head: 'kind', drop: 1 },
      { head: 'name' },
      right('min'),
      right('max'),
      right('current'),
      right('desired', 2),
      right('lag/replica', 3),
      { head: 'state' },
    ],
    cells: scaler => [
      scaler.kind === 'ScaledObject' ? 'ScaledObject' : 'HPA',
      scaler.name,
      String(scaler.min),
      String(scaler.max),
      numberText(scaler.current),
      numberText(scaler.desired),
      numberText(scaler.lagThreshold),
      { text: scalerState(scaler), paint: scaler.paused === null ? plain : colors.yellow },
    ],
  }
}

/** The conditions as an operator reads them: what does not hold of what should, and what holds of the rest. */
function scalerState({ paused, conditions }: ScalerStatus): string {
  if (paused !== null) return `paused ${paused}`
  const is = (type: string, status: string) => conditions.some(each => each.type === type && each.status === status)
  const bad = conditions.filter(({ type, status }) => {
    return status === 'False' && ['Ready', 'AbleToScale', 'ScalingActive'].includes(type)
  })
  if (bad.length > 0) return bad.map(({ type, reason }) => `not ${type} (${reason})`).join(', ')
  const told = [
    is('Fallback', 'True') ? 'fallback' : null,
    is('Active', 'True') ? 'active' : null,
    is('ScalingLimited', 'True') ? 'at its limit' : null,
  ].filter(word => word !== null)
  return told.length > 0 ? told.join(', ') : conditions.length > 0 ? 'ready' : NONE
}

function podSection(
  nowMs: number,
  { members, partitions, reducers }: StatusReport,
  { colors }: RenderOptions,
): Section<PodStatus> {
  const owned = (name: string): string => {
    const count = [...partitions, ...reducers].filter(({ owner }) => owner === name).length
    return members === null && count === 0 ? NONE : String(count)
  }
  return {
    title: 'Pods',
    columns: [
      { head: 'name' },
      { head: 'role', drop: 2 },
      { head: 'ready' },
      right('restarts', 3),
      right('age', 4),
      right('owns', 1),
      right('cost', 5),
      { head: 'node', drop: 6 },
    ],
    cells: pod => [
      pod.name,
      pod.component,
      { text: podState(pod), paint: pod.terminating ? colors.dim : pod.ready ? colors.green : colors.red },
      String(pod.restarts),
      pod.since === null ? NONE : ageText(nowMs - Date.parse(pod.since)),
      owned(pod.name),
      numberText(pod.deletionCost),
      pod.node ?? NONE,
    ],
  }
}

function podState({ terminating, ready, reason, phase }: PodStatus): string {
  if (terminating) return 'ending'
  return ready ? 'yes' : `no (${reason ?? phase})`
}

function partitionSection(nowMs: number, { colors }: RenderOptions): Section<PartitionStatus> {
  return {
    title: 'Source partitions',
    columns: [
      right('p'),
      right('position', 4),
      right('end', 5),
      right('lag'),
      { head: 'clock', drop: 3 },
      { head: 'state' },
      right('accepted', 2),
      right('late', 6),
      right('rejected', 7),
      { head: 'owner', drop: 1 },
    ],
    cells: each => [
      String(each.partition),
      numberText(each.position),
      numberText(each.end),
      numberText(each.lag),
      each.clock === null ? NONE : timeText(each.clock),
      { text: partitionState(each, nowMs), paint: each.fault !== null || each.gaps.length > 0 ? colors.red : plain },
      numberText(each.accepted),
      numberText(each.late),
      numberText(each.rejected),
      ownerCell(each.owner, colors.red),
    ],
  }
}

function partitionState({ fault, gaps, idleSince, lag }: PartitionStatus, nowMs: number): string {
  if (fault !== null) return fault
  if (gaps.length > 0) return `gap ${gaps.map(([from, to]) => `${from}-${to - 1}`).join(' ')}`
  if (typeof idleSince === 'string' && lag === 0) return `idle, seen ${ageText(nowMs - Date.parse(idleSince))} ago`
  return laggingText(lag)
}

function laggingText(lag: number | null): string {
  if (lag === null) return NONE
  return lag === 0 ? 'caught up' : 'running'
}

function ownerCell(owner: string | null | undefined, alarm: (text: string) => string): Cell {
  return owner === null ? { text: 'nobody', paint: alarm } : (owner ?? NONE)
}

function reducerSection({ colors }: RenderOptions): Section<ReducerStatus> {
  return {
    title: 'Partials partitions',
    columns: [
      { head: 'level' },
      right('p'),
      right('position', 3),
      right('end', 4),
      right('lag'),
      { head: 'final to', drop: 2 },
      { head: 'state', drop: 5 },
      { head: 'owner', drop: 1 },
    ],
    cells: each => [
      each.level,
      String(each.partition),
      numberText(each.position),
      numberText(each.end),
      numberText(each.lag),
      each.finalThrough === null ? NONE : timeText(each.finalThrough),
      each.fault === null ? laggingText(each.lag) : { text: each.fault, paint: colors.red },
      ownerCell(each.owner, colors.red),
    ],
  }
}

function windowSection({ colors }: RenderOptions): Section<WindowStatus> {
  return {
    title: 'Last results',
    columns: [
      { head: 'size' },
      { head: 'start' },
      { head: 'status' },
      right('events'),
      { head: 'exact' },
      right('revision', 2),
      { head: 'written', drop: 1 },
    ],
    cells: ({ size, start, status, batchSize, exact, revision, written }) => [
      size,
      timeText(start),
      { text: status, paint: status === 'provisional' ? colors.yellow : colors.green },
      String(batchSize),
      exact ? 'yes' : { text: 'no', paint: colors.red },
      String(revision),
      timeText(written),
    ],
  }
}

function countLines({ totals, deadLetters }: StatusReport): string[] {
  const lines: string[] = []
  if (totals !== null) {
    const codes = Object.entries(totals.rejected)
    const rejected = codes.reduce((sum, [, count]) => sum + count, 0)
    const why = codes.length === 0 ? '' : ` (${codes.map(([code, count]) => `${code} ${count}`).join(', ')})`
    lines.push('', `totals: accepted ${totals.accepted}, late ${totals.late}, rejected ${rejected}${why}`)
  }
  if (deadLetters !== null) {
    lines.push(
      `dead letters: ${deadLetters.topic} holds ${deadLetters.offsets} offsets, markers of transactions included`,
    )
  }
  return lines
}

const plain = (text: string) => text

function numberText(value: number | null): string {
  return value === null ? NONE : String(value)
}

/** To the second. */
function timeText(iso: string): string {
  return iso.replace(/\.\d{3}Z$/, 'Z')
}

/** As `12s`, `5m`, `3h` or `2d`. */
function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 120) return `${seconds}s`
  if (seconds < 7_200) return `${Math.floor(seconds / 60)}m`
  return seconds < 172_800 ? `${Math.floor(seconds / 3_600)}h` : `${Math.floor(seconds / 86_400)}d`
}
