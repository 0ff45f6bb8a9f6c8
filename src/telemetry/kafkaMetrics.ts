import type { KafkaWatch } from '../kafka/watch.ts'
import { KAFKA_APIS, METRICS, type MetricName, type Role, TRANSACTION_OUTCOMES } from './catalogue.ts'
import type { Instruments } from './instruments.ts'

/** The metrics of a role's work with the brokers. What a role never does it does not tell. */
export function createKafkaMetrics(made: Instruments, role: Role): KafkaWatch {
  const has = (name: MetricName) => (METRICS[name].roles as readonly Role[]).includes(role)
  const requests = made.timings('kafka_request_duration_seconds', KAFKA_APIS)
  const timeouts = made.counters('kafka_request_timeouts_total', KAFKA_APIS)
  const transactions = has('transactions_total') ? made.counters('transactions_total', TRANSACTION_OUTCOMES) : null
  const commits = has('commit_duration_seconds') ? made.tracedTimes('commit_duration_seconds') : null
  const rebalances = has('rebalance_duration_seconds') ? made.histogram('rebalance_duration_seconds').labels({}) : null
  return {
    request: (api, seconds) => requests.observe(named(api), seconds),
    requestTimedOut: api => timeouts.add(named(api), 1),
    transaction: outcome => transactions?.add(outcome, 1),
    committed: (seconds, trace) => commits?.observe(seconds, trace),
    rebalanced: seconds => rebalances?.observe(seconds),
  }
}

function named(api: string): string {
  return KAFKA_APIS.find(known => known === api) ?? 'other'
}
