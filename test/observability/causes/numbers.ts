import { setTimeout as sleep } from 'node:timers/promises'
import { deleteRecords } from '../../kafka/scenarios/support/kafkaTools.ts'
import type { Scene } from '../support/scene.ts'
import { until } from '../support/until.ts'
import type { Cause } from './cause.ts'

/** What makes numbers incomplete, or changes them. */
export const NUMBERS: readonly Cause[] = [
  {
    name: 'rejecting',
    what: 'every second event is broken; then the log loses what was not counted yet',
    alerts: ['TidemarkManyRejections', 'TidemarkGap'],
    settings: { REJECTED_SHARE_WINDOW: '3s' },
    run: async (scene, { kafka }) => {
      const aggregator = await scene.start('aggregate')
      const sound = scene.pipeline.generate('--rate', '200', '--seconds', '300', '--clean')
      await scene.sample('min(tidemark_rejected_share_ratio{JOB}) == 0')
      await scene.neverFired('TidemarkManyRejections', 'TidemarkGap')
      const broken = scene.pipeline.generate('--rate', '200', '--seconds', '300', '--seed', '2', '--broken-json', '0.9')
      await scene.firing('TidemarkManyRejections', { partition: '0' })
      broken.end()
      await scene.resolved('TidemarkManyRejections')

      await aggregator.kill()
      await sleep(1_000)
      sound.end()
      await sound.ledger
      await loseUncounted(scene, kafka.brokers)
      await scene.start('aggregate')
      await scene.firing('TidemarkGap', { role: 'aggregate' })
    },
  },
  {
    name: 'belated',
    what: 'a silent partition brings logins of windows that are final, and of windows that are given up',
    alerts: ['TidemarkCorrections', 'TidemarkPartialsTooLate'],
    settings: { CORRECTION_HORIZON: '8s', IDLE_TIMEOUT: '1s' },
    run: async scene => {
      await Promise.all([scene.start('reduce'), scene.start('aggregate')])
      scene.stream(0)
      await scene.sample('tidemark_results_total{JOB, status="corrected"}')
      const timeMs = Date.now()
      await scene.login(1, timeMs)
      await until('the window of the login is final', () => isFinal(scene, timeMs))
      await scene.neverFired('TidemarkCorrections', 'TidemarkPartialsTooLate')

      await scene.login(1, timeMs)
      await scene.firing('TidemarkCorrections', { size: '1s' })
      // Past the horizon, on the clock of a stream that goes on.
      await sleep(timeMs + 15_000 - Date.now())
      await scene.login(1, timeMs)
      await scene.firing('TidemarkPartialsTooLate')
    },
  },
]

/** Deletes all that the log of partition 0 holds, as a retention that is too short does. */
async function loseUncounted(scene: Scene, brokers: string): Promise<void> {
  const topic = scene.pipeline.topic('source')
  const [log] = await scene.pipeline.reader.readLogRanges(topic)
  const counted = await scene.committed(0, 1)
  if (log === undefined || counted >= log.end) throw new Error('all of the log is counted')
  await deleteRecords(brokers, topic, new Map([[0, log.end]]))
}

async function isFinal(scene: Scene, timeMs: number): Promise<true | undefined> {
  const start = new Date(Math.floor(timeMs / 1_000) * 1_000).toISOString()
  const { byKey } = await scene.pipeline.results()
  return byKey.get(`1s/${start}`)?.status === 'final' ? true : undefined
}
