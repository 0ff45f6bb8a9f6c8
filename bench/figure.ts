/** One line of the table. A target is what the figure may not pass: `least` from below, `most` from above. */
export type Figure = {
  readonly section: Section
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly target: { readonly least: number } | { readonly most: number } | null
  /** The same thing, or the nearest to it, done by somebody else in the same run. */
  readonly peer: { readonly name: string; readonly value: number } | null
  readonly note: string
  /** Bars of the picture: who has come to how many events a second. */
  readonly bars?: readonly Bar[]
}

export type Bar = { readonly group: string; readonly label: string; readonly eventsPerSecond: number }

/** What `npm run bench` runs by itself: the table of what Tidemark has to reach. */
export const USUAL_SECTIONS = ['throughput', 'peers', 'memory', 'scale', 'start'] as const
export const SECTIONS = [
  ...USUAL_SECTIONS,
  'telemetry',
  'takeover',
  'freshness',
  'results',
  'payloads',
  'backlog',
  'idle',
  'profile',
] as const
export type Section = (typeof SECTIONS)[number]

/** A figure as it is printed with --json: `met` is null without a target, `ratio` is value / peer where the value is none itself. */
export type ToldFigure = Figure & { readonly met: boolean | null; readonly ratio: number | null }

/** Units of values that are ratios themselves. */
const RATIOS: ReadonlySet<string> = new Set(['times', 'of its rate'])

export function told(figure: Figure): ToldFigure {
  const { value, target, peer } = figure
  const met = target === null ? null : 'least' in target ? value >= target.least : value <= target.most
  return { ...figure, met, ratio: peer === null || RATIOS.has(figure.unit) ? null : value / peer.value }
}

/** Whole numbers with separators; below 100 with one digit, below 10 with two. A dash for what was not measured. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const digits = Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0
  return value.toLocaleString('en-US', { minimumFractionDigits: 0, maximumFractionDigits: digits })
}

export function targetText({ target }: Pick<Figure, 'target'>): string {
  if (target === null) return ''
  return 'least' in target ? `>= ${numberText(target.least)}` : `<= ${numberText(target.most)}`
}

export const MIB = 1024 * 1024
