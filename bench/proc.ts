import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** Linux counts CPU time of processes in ticks of this length, whatever the kernel's own clock. */
const TICKS_PER_SECOND = 100
const KIB = 1024

/** What the kernel knows of a process: CPU seconds of all its threads, resident bytes now and at their peak. */
export type ProcessUsage = { readonly cpuSeconds: number; readonly residentBytes: number; readonly peakBytes: number }

/** Null once the process has gone, and where there is no /proc. */
export function usageOf(pid: number): ProcessUsage | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1])
    const usage = {
      cpuSeconds: cpuSecondsOf(readFileSync(`/proc/${pid}/stat`, 'utf8')),
      residentBytes: kib('VmRSS') * KIB,
      peakBytes: kib('VmHWM') * KIB,
    }
    // A process that has ended and was not waited for yet has no memory any more.
    return Number.isNaN(usage.residentBytes) ? null : usage
  } catch {
    return null
  }
}

/** The program's name, second in the line and in brackets, may hold blanks: fields are counted from behind it. */
function cpuSecondsOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Looks at a process again and again until `stop`, which returns all that was seen, oldest first. */
export function watchProcess(pid: number, everyMs: number): { stop(): readonly ProcessUsage[] } {
  const seen: ProcessUsage[] = []
  const look = () => {
    const usage = usageOf(pid)
    if (usage !== null) seen.push(usage)
  }
  look()
  const timer = setInterval(look, everyMs)
  return {
    stop: () => {
      clearInterval(timer)
      look()
      return seen
    },
  }
}

/**
 * How many cores the machine spends, on the average until `stop`, on programs that are not of this run: what they take,
 * the measured ones lack.
 * @param pids the processes of this run, all of which run from now until `stop`; this process counts as one of them
 */
export function watchOthers(pids: readonly number[]): { stop(): number } {
  const spent = () => {
    const own = [process.pid, ...pids].map(pid => usageOf(pid)?.cpuSeconds ?? 0).reduce((a, b) => a + b, 0)
    return { at: performance.now() / 1000, others: machineBusySeconds() - own }
  }
  const before = spent()
  return {
    stop: () => {
      const after = spent()
      return Math.max(0, (after.others - before.others) / (after.at - before.at))
    },
  }
}

function machineBusySeconds(): number {
  let busyMs = 0
  for (const { times } of cpus()) busyMs += times.user + times.nice + times.sys + times.irq
  return busyMs / 1000
}
