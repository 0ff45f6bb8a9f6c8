import { TidemarkError } from '../errors.ts'
import type { Cluster } from '../kubernetes/openKubernetes.ts'
import type { WorkerListener } from '../runtime/worker.ts'
import type { Notice } from '../tasks/task.ts'
import { type Log, type LogFields, sampled, traceFields } from '../telemetry/log.ts'
import type { RoleListener } from '../telemetry/roleTelemetry.ts'

export type ListenerParts = {
  readonly log: Log
  readonly telemetry: RoleListener
  readonly cluster: Cluster['on']
  readonly nameOf: (lane: number) => number | string
  readonly fail: (error: unknown) => void
}

/** Hands what the worker tells to the log, to telemetry and to the cluster. */
export function listen({ log, telemetry, cluster, nameOf, fail }: ListenerParts): WorkerListener {
  const often = sampled(log)
  return {
    assigned: (epoch, partitions) => {
      log.info('assigned', { epoch, partitions: partitions.map(nameOf) })
      telemetry.assigned(epoch, partitions)
      cluster.assigned(epoch, partitions)
    },
    restored: (partition, position, committed) => {
      log.info('restored', { partition: nameOf(partition), position, committed })
      telemetry.restored(partition, position, committed)
    },
    live: (partition, position, sinceAssignedMs) => {
      log.info('live', { partition: nameOf(partition), position, since_assigned_ms: sinceAssignedMs })
      telemetry.live(partition)
    },
    delivered: (partition, capture, ms, trace) => {
      log.debug('flushed', {
        partition: nameOf(partition),
        offset: capture.commit.offset,
        ms,
        ...traceFields(trace),
      })
      telemetry.delivered(partition, capture, ms, trace)
      cluster.delivered(partition, capture, ms)
    },
    looked: telemetry.looked,
    notice: (partition, notice, trace) => {
      reportNotice(often.write, { at_partition: nameOf(partition), ...traceFields(trace) }, notice)
      telemetry.notice(partition, notice)
      cluster.notice(partition, notice)
    },
    corrupt: (partition, batch) => {
      often.write('error', 'corrupt_batch', { partition: nameOf(partition), ...batch, waiting: !batch.skipped })
      telemetry.corrupt(partition, batch)
      cluster.corrupt(partition, batch)
    },
    failed: (partition, error, trace) => {
      const { code, message } = error instanceof TidemarkError ? error : { code: 'unknown', message: String(error) }
      often.write('warn', 'restoring', { partition: nameOf(partition), code, reason: message, ...traceFields(trace) })
      telemetry.failed(partition, error)
    },
    fatal: fail,
  }
}

function reportNotice(write: Log['write'], where: LogFields, notice: Notice): void {
  const { kind, ...details } = notice
  const level = kind === 'rejected' ? 'warn' : 'error'
  // The notice's own partition, where it has one, is the source's.
  write(kind === 'parked' ? 'info' : level, kind, { ...where, ...details })
}
