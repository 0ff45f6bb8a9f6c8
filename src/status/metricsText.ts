/** What a pod tells of one partition that it reads. */
export type TaskReading = {
  readonly role: 'aggregate' | 'reduce'
  /** As in the label: `3`, or `1m/0` of a longer level. */
  readonly name: string
  readonly live: boolean
  /** The next offset to be processed. */
  readonly position: number | null
  readonly lag: number | null
  /** Epoch milliseconds; null before the first event. */
  readonly clockMs: number | null
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)\{(.*)\} (\S+)(?: \d+)?$/
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g
const PREFIX = 'tidemark_partition_'

/** The partitions in the metrics of an `aggregate` or `reduce` process, in the text format of Prometheus. */
export function readings(text: string): TaskReading[] {
  const values = new Map<string, Map<string, number>>()
  for (const line of text.split('\n')) {
    if (!line.startsWith(PREFIX)) continue
    const [, metric = '', labelText = '', value = ''] = SAMPLE.exec(line) ?? []
    const labels = Object.fromEntries([...labelText.matchAll(LABEL)].map(([, name, content]) => [name, content]))
    if (labels.partition === undefined || (labels.role !== 'aggregate' && labels.role !== 'reduce')) continue
    const key = `${labels.role} ${labels.partition}`
    const known = values.get(key) ?? new Map<string, number>()
    values.set(key, known.set(metric.slice(PREFIX.length), Number(value)))
  }
  return [...values].map(([key, known]) => {
    const [role, name] = key.split(' ') as ['aggregate' | 'reduce', string]
    const clock = known.get('clock_timestamp_seconds')
    return {
      role,
      name,
      live: known.get('live') === 1,
      position: known.get('position') ?? null,
      lag: known.get('lag_records') ?? null,
      clockMs: clock === undefined ? null : Math.round(clock * 1_000),
    }
  })
}
