import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { startLab } from './lab.ts'

const USAGE = `usage: node test/observability/faults/main.ts [--rate <logins a second>] [--real-time]
Runs all of Tidemark on this machine under synthetic logins, with Prometheus and its alerts, until Ctrl-C. The alerts' minutes are
seconds; with --real-time they are minutes. Needs Java and Maven, prometheus, curl, jq and psql on the PATH.`
const FASTER = 60

/** Starts the lab of docs/runbooks/three-faults.md and says how to look at it. @returns the exit code */
async function main(words: readonly string[]): Promise<number> {
  const options = {
    rate: { type: 'string', default: '100' },
    'real-time': { type: 'boolean' },
    help: { type: 'boolean' },
  }
  const { values } = parseArgs({ args: [...words], options: options as never }) as {
    readonly values: { readonly rate: string; readonly 'real-time'?: boolean; readonly help?: boolean }
  }
  if (values.help === true) {
    console.log(USAGE)
    return 0
  }
  const rate = Number(values.rate)
  if (!Number.isInteger(rate) || rate < 1) {
    console.error(`--rate is "${values.rate}"; allowed is a whole number from 1\n${USAGE}`)
    return 2
  }
  const isRealTime = values['real-time'] === true
  const ended = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  const lab = await startLab({ rate, divisor: isRealTime ? 1 : FASTER })
  console.log(`Tidemark runs: ${lab.url}/api/windows. Prometheus: ${lab.prometheus.url}/alerts
The alerts' minutes are ${isRealTime ? 'minutes' : 'seconds'} here. In another terminal, with bash:

  . ${lab.shellFile}

Ctrl-C ends all of it.`)
  await ended
  await lab.stop()
  return 0
}

process.exitCode = await main(process.argv.slice(2))
