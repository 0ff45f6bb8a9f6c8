/** What a phase has measured, by name, and what is not as it must be. */
export type PhaseResult = {
  readonly name: string
  readonly title: string
  readonly seconds: number
  readonly figures: Figures
  /** One line each; none when the phase has passed. */
  readonly complaints: readonly string[]
}

export type Figures = Readonly<Record<string, number | string>>

export type Report = {
  readonly passed: boolean
  readonly seconds: number
  readonly phases: readonly PhaseResult[]
}

/** @param planned the names of all phases: one that has no result is a failure, too */
export function reportOf(phases: readonly PhaseResult[], planned: readonly string[], seconds: number): Report {
  const done = new Set(phases.map(({ name }) => name))
  const passed = planned.every(name => done.has(name)) && phases.every(({ complaints }) => complaints.length === 0)
  return { passed, seconds, phases }
}

/** A table of the phases, their complaints, and the verdict as the last line. */
export function reportText({ passed, seconds, phases }: Report): string {
  const width = Math.max(...phases.map(({ title }) => title.length), 0)
  const lines = phases.map(({ title, seconds: took, figures, complaints }) => {
    const told = Object.entries(figures).map(([name, value]) => `${name} ${value}`)
    const mark = complaints.length === 0 ? 'ok    ' : 'FAILED'
    return `${mark} ${title.padEnd(width)} ${took.toFixed(0).padStart(4)} s  ${told.join(', ')}`
  })
  const complaints = phases.flatMap(({ name, complaints }) => complaints.map(text => `${name}: ${text}`))
  const failed = phases.filter(phase => phase.complaints.length > 0).length
  const verdict = passed ? 'verdict: passed' : 'verdict: FAILED'
  const counts = `${phases.length - failed} of ${phases.length} phases as they must be, in ${seconds.toFixed(0)} s`
  return [...lines, ...complaints, `${verdict}, ${counts}`].join('\n')
}
