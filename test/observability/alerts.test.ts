import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { type EmbeddedKafka, startKafka } from '../../src/dev/kafka/embeddedKafka.ts'
import { freePorts } from '../../src/dev/kafka/ports.ts'
import { endPipelines } from '../kafka/scenarios/support/pipeline.ts'
import { NUMBERS } from './causes/numbers.ts'
import { PROGRESS } from './causes/progress.ts'
import { FIRED_FOR_REAL } from './support/firedForReal.ts'
import { type Prometheus, skipsPrometheus, startPrometheus } from './support/prometheus.ts'
import { withScene } from './support/scene.ts'
import { type SlowNetwork, startSlowNetwork } from './support/slowNetwork.ts'

const CAUSES = [...PROGRESS, ...NUMBERS]
const LOCAL = '127.0.0.1'
/** Where a broker is told to be, by which clients come through the network that can be made slow. */
const NETWORK = '127.0.0.2'
const DIVISOR = 60
const START_MS = 120_000
const CAUSE_MS = 170_000

let kafka: EmbeddedKafka
let network: SlowNetwork
/** By the divisor of the rules' times. */
let prometheus: ReadonlyMap<number, Prometheus>
const fired = new Set<string>()

// Under CI=true a missing prometheus fails.
describe.skipIf(skipsPrometheus)('by its real cause', () => {
  beforeAll(async () => {
    const [port] = (await freePorts(1, LOCAL)) as [number]
    const divisors = [...new Set(CAUSES.map(({ divisor = DIVISOR }) => divisor))]
    const starting = divisors.map(async divisor => [divisor, await startPrometheus({ divisor })] as const)
    ;[kafka, network, prometheus] = await Promise.all([
      startKafka({ external: { host: NETWORK, port, bind: LOCAL } }),
      startSlowNetwork({ host: NETWORK, port }, { host: LOCAL, port }),
      Promise.all(starting).then(started => new Map(started)),
    ])
  }, START_MS)
  afterAll(async () => {
    await endPipelines()
    await Promise.all([...(prometheus?.values() ?? [])].map(each => each.stop()))
    await network?.close()
    await kafka?.stop()
  })

  const named = CAUSES.map(cause => [`${cause.alerts.join(', ')}: ${cause.what}`, cause] as const)
  it.concurrent.each(named)('%s', { timeout: CAUSE_MS }, async (_name, cause) => {
    const { name, settings = {}, divisor = DIVISOR } = cause
    const brokers = cause.throughNetwork === true ? (kafka.externalBrokers ?? '') : kafka.brokers
    const scene = { name, brokers, settings, prometheus: prometheus.get(divisor) as Prometheus }
    await withScene(scene, async opened => {
      await cause.run(opened, { kafka, network })
      const seen = await opened.fired()
      expect([...seen]).toEqual(expect.arrayContaining([...cause.alerts]))
      for (const alert of cause.alerts) fired.add(alert)
    })
  })

  it('every alert of progress and numbers has fired', () => {
    expect(fired).toEqual(new Set(FIRED_FOR_REAL.alerts))
  })

  it('no target answered with anything that Prometheus could not read', () => {
    for (const each of prometheus.values()) expect(each.log()).not.toMatch(/level=(?:warn|error)/)
  })
})

it('together with the suites of database, API and Kubernetes it is every alert that there is', () => {
  const file = readFileSync(join(process.cwd(), 'charts/tidemark/rules/tidemark.yaml'), 'utf8')
  const { groups } = parse(file) as { groups: { rules: { alert: string }[] }[] }
  const all = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert))
  expect(Object.values(FIRED_FOR_REAL).flat().sort()).toEqual(all.sort())
})
