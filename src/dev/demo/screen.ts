import picocolors from 'picocolors'
import type { Result } from '../../results/result.ts'

export type ScreenState = {
  readonly elapsedSeconds: number
  readonly produced: number
  readonly roles: readonly { readonly name: string; readonly state: string }[]
  readonly results: readonly Result[]
  readonly story: readonly string[]
}

const WINDOWS_SHOWN = 8
const STORY_SHOWN = 6

/** Shows the run: on a terminal a table drawn again in place, elsewhere one line a call. */
export function createScreen(out: { write(text: string): unknown; isTTY?: boolean }): (state: ScreenState) => void {
  let drawn = 0
  let told = 0
  return state => {
    if (out.isTTY !== true) {
      for (const line of state.story.slice(told)) out.write(`demo: ${line}\n`)
      told = state.story.length
      out.write(`${plainLine(state)}\n`)
      return
    }
    const lines = draw(state)
    out.write(`${drawn > 0 ? `\x1b[${drawn}A` : ''}${lines.map(line => `\x1b[2K${line}\n`).join('')}\x1b[J`)
    drawn = lines.length
  }
}

function plainLine({ elapsedSeconds, produced, results, roles }: ScreenState): string {
  const counted = results.reduce((sum, result) => sum + result.batch_size, 0)
  const running = roles.filter(role => role.state === 'running').length
  const newest = newestFirst(results)[0]
  const window = newest === undefined ? 'no result yet' : `${newest.window.start} ${newest.status} ${newest.batch_size}`
  return `demo: ${elapsedSeconds.toFixed(0)} s  produced ${produced}  counted ${counted}  ${running} roles  newest window ${window}`
}

function draw({ elapsedSeconds, produced, roles, results, story }: ScreenState): string[] {
  const counted = results.reduce((sum, result) => sum + result.batch_size, 0)
  const title = picocolors.bold(`Tidemark demo  ${elapsedSeconds.toFixed(0)} s`)
  const lines = [`${title}   produced ${produced}   counted ${counted}   windows ${results.length}`, '']
  lines.push(roles.map(({ name, state }) => `${state === 'running' ? '●' : '○'} ${name} ${state}`).join('   '), '')
  lines.push(picocolors.dim('window                    status       events  top device types            top locales'))
  for (const result of newestFirst(results).slice(0, WINDOWS_SHOWN)) {
    const { window, status, batch_size, device_stats, location_stats } = result
    const paint = status === 'provisional' ? picocolors.yellow : picocolors.green
    lines.push(
      `${window.start}  ${paint(status.padEnd(11))} ${String(batch_size).padStart(7)}  ${top(device_stats).padEnd(26)}  ${top(location_stats)}`,
    )
  }
  return [...lines, '', ...story.slice(-STORY_SHOWN)]
}

function newestFirst(results: readonly Result[]): Result[] {
  return [...results].sort((a, b) => (a.window.start < b.window.start ? 1 : -1))
}

function top(counts: Readonly<Record<string, number>>): string {
  const best = Object.entries(counts).sort(([, a], [, b]) => b - a)
  return best
    .slice(0, 2)
    .map(([value, count]) => `${value} ${count}`)
    .join(', ')
}
