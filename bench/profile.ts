import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { type Drain, drain, WORKS, type Work } from './drain.ts'
import type { Figure } from './figure.ts'

/** As V8 writes it (`--cpu-prof`): times in microseconds, a sample is the id of the node on top of the stack. */
type CpuProfile = {
  readonly startTime: number
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Of the names that Node gives profiles: process, thread and number stand at the end. */
const MAIN_THREAD = /\.0\.\d+\.cpuprofile$/
const TOP_FUNCTIONS = 20
const IDLE = '(idle)'

/** Where an aggregator's time goes from the assignment to the last event, by owner and by function: self time an event. */
export async function measureProfile(bench: Bench): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const work of WORKS) figures.push(...(await profileOf(bench, work)))
  return figures
}

async function profileOf(bench: Bench, work: Work): Promise<Figure[]> {
  const events = Math.ceil(work === 'counting' ? bench.events : bench.events / 4)
  const source = await bench.sources.of(events)
  const folder = await folderFor(bench, work)
  try {
    const { countingUs } = await drain(bench.lab, source, { work, delivery: 'exactly-once', profileFolder: folder })
    const name = (await readdir(folder)).find(each => MAIN_THREAD.test(each))
    if (name === undefined) throw new Error(`the aggregator left no profile in ${folder}`)
    const profile = JSON.parse(await readFile(join(folder, name), 'utf8')) as CpuProfile
    return profileFigures(work, profile, events, countingUs)
  } finally {
    if (bench.profileFolder === null) await rm(folder, { recursive: true, force: true })
  }
}

async function folderFor({ profileFolder }: Bench, work: Work): Promise<string> {
  if (profileFolder === null) return await mkdtemp(join(tmpdir(), 'tidemark-profile-'))
  const folder = join(profileFolder, `profile-${work}-${Date.now()}`)
  await mkdir(folder, { recursive: true })
  return folder
}

/** @param span microseconds of the profile's clock that are looked at */
export function profileFigures(work: Work, profile: CpuProfile, events: number, span: Drain['countingUs']): Figure[] {
  const { owners, functions } = selfTimes(profile, span)
  const busy = [...owners.values()].reduce((sum, time) => sum + time, 0)
  const figure = (name: string, time: number): Figure => ({
    section: 'profile',
    name: `${work}, ${name}`,
    value: time / events,
    unit: 'us/event',
    target: null,
    peer: null,
    note: `${((100 * time) / busy).toFixed(1)} %`,
  })
  return [
    figure('all of the main thread', busy),
    ...descending(withoutSmall(owners, busy / 200)).map(([owner, time]) => figure(`by ${owner}`, time)),
    ...descending(functions)
      .slice(0, TOP_FUNCTIONS)
      .map(([name, time]) => figure(name, time)),
  ]
}

function selfTimes({ nodes, samples, timeDeltas, startTime }: CpuProfile, { from, to }: Drain['countingUs']) {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const owners = new Map<string, number>()
  const functions = new Map<string, number>()
  const add = (map: Map<string, number>, key: string, time: number) => map.set(key, (map.get(key) ?? 0) + time)
  let at = startTime
  for (const [index, id] of samples.entries()) {
    const frame = frames.get(id)
    const time = timeDeltas[index] ?? 0
    at += time
    if (frame === undefined || frame.functionName === IDLE || at < from || at > to) continue
    const owner = ownerOf(frame.url, frame.functionName)
    add(owners, owner, time)
    add(functions, `${frame.functionName || '(anonymous)'}, ${placeOf(frame.url, frame.lineNumber)}`, time)
  }
  return { owners, functions }
}

/** A folder of src, a package, Node itself, the collector of garbage, or what is not JavaScript. */
function ownerOf(url: string, functionName: string): string {
  const source = /\/src\/([^/]+)/.exec(url)
  const package_ = /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)
  if (package_ !== null) return `package ${package_[1]}`
  if (source !== null) return `src/${source[1]}`
  if (url.startsWith('node:')) return 'Node'
  if (url.startsWith('wasm:')) return 'the kernel (WebAssembly)'
  if (url !== '') return 'the probe of this benchmark'
  return functionName === '(garbage collector)'
    ? 'the garbage collector'
    : 'native code (Buffer, JSON, RegExp, sockets)'
}

function placeOf(url: string, lineNumber: number): string {
  if (url === '') return 'V8'
  return `${url.replace(/^file:.*?\/(src|node_modules|bench)\//, '$1/')}:${lineNumber + 1}`
}

/** All that take less than `least` together, as one. */
function withoutSmall(times: ReadonlyMap<string, number>, least: number): Map<string, number> {
  const kept = new Map<string, number>()
  for (const [owner, time] of times) {
    const name = time < least ? 'others' : owner
    kept.set(name, (kept.get(name) ?? 0) + time)
  }
  return kept
}

function descending(times: ReadonlyMap<string, number>): [string, number][] {
  return [...times].sort(([, a], [, b]) => b - a)
}
