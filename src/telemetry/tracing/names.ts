/**
 * Every name that tracing writes. Spans and attributes are those of OpenTelemetry's semantic conventions for messaging
 * and databases, as the package of that name has them: a test holds these against it, and that none is deprecated. They
 * stand here as texts, so that nothing is loaded while tracing is off.
 */

/** The instrumentation scope of all spans. */
export const TRACER_NAME = 'tidemark'
/** `service.namespace`, and the beginning of `service.name` where OTEL_SERVICE_NAME does not say otherwise. */
export const SERVICE = 'tidemark'

/** What a role is called: `service.name`. */
export function serviceName(role: string): string {
  return `${SERVICE}-${role}`
}

/** The names of spans: few, since a trace viewer groups by them. */
export const SPAN_NAMES = {
  /** PRODUCER: one record batch of the generator, or what one stage of a flush sends to one topic. */
  send: (topic: string) => `send ${topic}`,
  /** CLIENT: a fetch that brought records of one flush, from its request to its answer. */
  poll: (topic: string) => `poll ${topic}`,
  /** CONSUMER: all that becomes of the records of one flush, from the first one's processing to the commit. */
  process: (topic: string) => `process ${topic}`,
  /** CLIENT: the offset of a flush and its metadata; a transaction's end too. */
  commit: (topic: string) => `commit ${topic}`,
  /** CLIENT: the rows of a flush and its position, in one transaction of the database. */
  write: (table: string) => `write ${table}`,
} as const

/** The table that stands for what the sink writes. */
export const SINK_TABLE = 'tidemark.windows'

export const ATTRIBUTES = {
  system: 'messaging.system.name',
  operationName: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  destination: 'messaging.destination.name',
  partition: 'messaging.destination.partition.id',
  group: 'messaging.consumer.group.name',
  messages: 'messaging.batch.message_count',
  offset: 'kafka.offset',
  errorType: 'error.type',
  databaseSystem: 'db.system.name',
  table: 'db.collection.name',
  rows: 'db.operation.batch.size',
} as const

/** Attributes of the resource, which is the process. */
export const RESOURCE_ATTRIBUTES = {
  serviceName: 'service.name',
  serviceNamespace: 'service.namespace',
  serviceVersion: 'service.version',
} as const

/** The values of `messaging.operation.type`. */
export const OPERATION_TYPES = { send: 'send', poll: 'receive', process: 'process', commit: 'settle' } as const

export const MESSAGING_SYSTEM = 'kafka'
export const DATABASE_SYSTEM = 'postgresql'
/** `error.type` of what is no error of ours. */
export const OTHER_ERROR = '_OTHER'
