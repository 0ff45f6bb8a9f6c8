import { trace } from '@opentelemetry/api'
import { NodeSDK, type NodeSDKConfiguration } from '@opentelemetry/sdk-node'

type Processor = NonNullable<NodeSDKConfiguration['spanProcessors']>[number]
export type EndedSpan = Parameters<Processor['onEnd']>[0]

/** The SDK with spans kept in memory, in the order in which they end. One for a test file: it is registered for the process. */
export function memorySpans(sampler?: NodeSDKConfiguration['sampler']) {
  const spans: EndedSpan[] = []
  const processor: Processor = {
    onStart: () => {},
    onEnd: span => void spans.push(span),
    forceFlush: async () => {},
    shutdown: async () => {},
  }
  const sdk = new NodeSDK({
    spanProcessors: [processor],
    metricReaders: [],
    logRecordProcessors: [],
    autoDetectResources: false,
    ...(sampler === undefined ? {} : { sampler }),
  })
  sdk.start()
  return {
    tracer: trace.getTracer('test'),
    /** The spans that ended since the last time that this was asked. */
    taken: () => spans.splice(0),
    close: () => sdk.shutdown(),
  }
}
