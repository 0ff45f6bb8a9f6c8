import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** By name; numbers of 64 bits, which OTLP writes as text, are numbers. */
export type Attributes = Readonly<Record<string, unknown>>

/** Who has sent something, and how it calls itself. */
type Sent = { readonly service: string; readonly resource: Attributes }

export type ReceivedSpan = Sent & {
  readonly name: string
  /** As OTLP numbers them: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  /** Empty for the first of a trace. */
  readonly parentSpanId: string
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly attributes: Attributes
}

export type ReceivedPoint = {
  readonly attributes: Attributes
  readonly startMs: number
  readonly timeMs: number
  /** Of a sum or a gauge. */
  readonly value?: number
  /** Of a histogram: how many there were, and how many between each bound and the one before. */
  readonly count?: number
  readonly sum?: number
  readonly bounds?: readonly number[]
  readonly counts?: readonly number[]
}

export type ReceivedMetric = Sent & {
  readonly name: string
  readonly unit: string
  readonly kind: 'sum' | 'gauge' | 'histogram'
  /** Of a sum: whether it only grows, and counts from its start on. */
  readonly isCumulativeCounter: boolean
  readonly points: readonly ReceivedPoint[]
}

export type ReceivedLog = Sent & {
  readonly eventName: string
  readonly severityNumber: number
  readonly severityText: string
  readonly body: unknown
  /** Empty where it belongs to no trace. */
  readonly traceId: string
  readonly spanId: string
  readonly attributes: Attributes
}

type Value = {
  readonly arrayValue?: { readonly values?: readonly Value[] }
  readonly kvlistValue?: { readonly values?: readonly KeyValue[] }
  readonly intValue?: string | number
  readonly [kind: string]: unknown
}
type KeyValue = { readonly key: string; readonly value?: Value }
type Of<Scopes> = { readonly resource?: { readonly attributes?: readonly KeyValue[] } } & Scopes
type RawSpan = Partial<ReceivedSpan> & { readonly attributes?: readonly KeyValue[] }
type RawLog = Partial<ReceivedLog> & { readonly attributes?: readonly KeyValue[]; readonly body?: Value }
type RawPoint = Readonly<Record<string, unknown>> & { readonly attributes?: readonly KeyValue[] }
type RawData = { readonly dataPoints?: readonly RawPoint[]; readonly [field: string]: unknown }
type RawMetric = Readonly<Record<'sum' | 'gauge' | 'histogram', RawData | undefined>> & {
  readonly name: string
  readonly unit?: string
}
type Export = {
  readonly resourceSpans?: readonly Of<{ readonly scopeSpans?: readonly { readonly spans?: readonly RawSpan[] }[] }>[]
  readonly resourceMetrics?: readonly Of<{
    readonly scopeMetrics?: readonly { readonly metrics?: readonly RawMetric[] }[]
  }>[]
  readonly resourceLogs?: readonly Of<{ readonly scopeLogs?: readonly { readonly logRecords?: readonly RawLog[] }[] }>[]
}

/** Takes traces, metrics and logs by OTLP over HTTP with JSON, and keeps them in the order in which they came. */
export async function startOtlpReceiver() {
  const [spans, metrics, logs]: [ReceivedSpan[], ReceivedMetric[], ReceivedLog[]] = [[], [], []]
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      const sent = JSON.parse(Buffer.concat(chunks).toString()) as Export
      spans.push(...spansOf(sent))
      metrics.push(...metricsOf(sent))
      logs.push(...logsOf(sent))
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans: spans as readonly ReceivedSpan[],
    metrics: metrics as readonly ReceivedMetric[],
    logs: logs as readonly ReceivedLog[],
    close: () => {
      server.closeAllConnections()
      return new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
}

export type OtlpReceiver = Awaited<ReturnType<typeof startOtlpReceiver>>

function spansOf({ resourceSpans = [] }: Export): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ spans = [] }) =>
      spans.map(({ name = '', kind = 0, traceId = '', spanId = '', parentSpanId = '', links = [], attributes }) => {
        return { ...sender(resource), name, kind, traceId, spanId, parentSpanId, links, attributes: byName(attributes) }
      }),
    ),
  )
}

function metricsOf({ resourceMetrics = [] }: Export): ReceivedMetric[] {
  return resourceMetrics.flatMap(({ resource, scopeMetrics = [] }) =>
    scopeMetrics.flatMap(({ metrics = [] }) =>
      metrics.map(metric => {
        const kind = (['sum', 'gauge', 'histogram'] as const).find(each => metric[each] !== undefined) ?? 'gauge'
        const data = metric[kind] ?? {}
        return {
          ...sender(resource),
          name: metric.name,
          unit: metric.unit ?? '',
          kind,
          isCumulativeCounter: data.isMonotonic === true && data.aggregationTemporality === 2,
          points: (data.dataPoints ?? []).map(pointOf),
        }
      }),
    ),
  )
}

function pointOf(raw: RawPoint): ReceivedPoint {
  const number = (name: string) => (raw[name] === undefined ? undefined : Number(raw[name]))
  const numbers = (name: string) => (raw[name] as readonly (string | number)[] | undefined)?.map(Number)
  const told = {
    value: number('asDouble') ?? number('asInt'),
    count: number('count'),
    sum: number('sum'),
    bounds: numbers('explicitBounds'),
    counts: numbers('bucketCounts'),
  }
  return {
    attributes: byName(raw.attributes),
    startMs: (number('startTimeUnixNano') ?? 0) / 1e6,
    timeMs: (number('timeUnixNano') ?? 0) / 1e6,
    ...(Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)) as Partial<ReceivedPoint>),
  }
}

function logsOf({ resourceLogs = [] }: Export): ReceivedLog[] {
  return resourceLogs.flatMap(({ resource, scopeLogs = [] }) =>
    scopeLogs.flatMap(({ logRecords = [] }) =>
      logRecords.map(({ eventName = '', severityNumber = 0, severityText = '', traceId = '', spanId = '', ...raw }) => {
        const [body, attributes] = [plainValue(raw.body), byName(raw.attributes)]
        return { ...sender(resource), eventName, severityNumber, severityText, body, traceId, spanId, attributes }
      }),
    ),
  )
}

function sender(resource: { readonly attributes?: readonly KeyValue[] } | undefined): Sent {
  const attributes = byName(resource?.attributes)
  return { service: String(attributes['service.name']), resource: attributes }
}

function byName(attributes: readonly KeyValue[] = []): Attributes {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value)]))
}

function plainValue(value: Value = {}): unknown {
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainValue)
  if (value.kvlistValue !== undefined) return byName(value.kvlistValue.values)
  return value.intValue === undefined ? Object.values(value)[0] : Number(value.intValue)
}
