import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { asksForOpenMetrics, openMetricsText } from '../../../src/telemetry/openMetrics.ts'
import { createSinkMetrics } from '../../../src/telemetry/sinkMetrics.ts'

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

describe('who asks for OpenMetrics', () => {
  it.each([
    ['application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1', true],
    ['text/plain, application/openmetrics-text', true],
    ['text/plain;version=0.0.4', false],
    ['application/openmetrics-text-like', false],
    ['*/*', false],
    ['', false],
  ])('%s: %s', (accept, wanted) => expect(asksForOpenMetrics(accept)).toBe(wanted))
})

describe('the text', () => {
  it('names families, escapes labels and ends', async () => {
    const registry = new Registry()
    registry.setDefaultLabels({ role: 'sink' })
    const registers = [registry]
    new Counter({ name: 'seen_total', help: 'Seen "so far" \\ now.', registers }).inc(3)
    new Gauge({ name: 'place', help: 'Where.', labelNames: ['at'], registers })
      .labels('a"b\\c\nd')
      .set(Number.POSITIVE_INFINITY)
    const times = new Histogram({ name: 'times_seconds', help: 'How long.', buckets: [0.1, 1], registers })
    times.observe(0.5)
    expect(await openMetricsText(registry)).toBe(
      [
        '# TYPE seen counter',
        '# HELP seen Seen \\"so far\\" \\\\ now.',
        'seen_total{role="sink"} 3',
        '# TYPE place gauge',
        '# HELP place Where.',
        'place{at="a\\"b\\\\c\\nd",role="sink"} +Inf',
        '# TYPE times_seconds histogram',
        '# HELP times_seconds How long.',
        'times_seconds_bucket{le="0.1",role="sink"} 0',
        'times_seconds_bucket{le="1",role="sink"} 1',
        'times_seconds_bucket{le="+Inf",role="sink"} 1',
        'times_seconds_sum{role="sink"} 0.5',
        'times_seconds_count{role="sink"} 1',
        '# EOF',
        '',
      ].join('\n'),
    )
  })

  it('has the same series as the older format, which stays as it was', async () => {
    const { registry } = createMetrics('reduce', '1', String, ['10s'])
    const seriesOf = (text: string) =>
      text
        .split('\n')
        .filter(line => line.startsWith('tidemark_'))
        .map(line =>
          line.slice(0, line.lastIndexOf(' ')).replace(/\{(.*)\}/, (_, labels) => labels.split(',').sort().join()),
        )
        .sort()
    const before = seriesOf(await registry.metrics())
    expect(seriesOf(await openMetricsText(registry))).toEqual(before)
    expect(seriesOf(await registry.metrics())).toEqual(before)
  })

  it('shows of a latency the trace that took so long', async () => {
    const metrics = createMetrics('aggregate', '1')
    const capture = { stages: [], commit: { offset: 1, metadata: '' }, tally: null, notices: [] }
    metrics.delivered(0, capture, 0.3, TRACE)
    metrics.delivered(0, capture, 0.02)
    metrics.delivered(0, capture, 0.02, 'no trace')
    const lines = (await openMetricsText(metrics.registry)).split('\n')
    const buckets = lines.filter(line => line.startsWith('tidemark_flush_duration_seconds_bucket'))
    expect(buckets.filter(line => line.includes(' # '))).toEqual([
      expect.stringMatching(
        /^tidemark_flush_duration_seconds_bucket\{le="0\.5",role="aggregate"\} 3 # \{trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"\} 0\.3 \d+(\.\d+)?$/,
      ),
    ])
    expect(await metrics.registry.metrics()).not.toContain('trace_id')
  })

  it('shows it of a commit and of a write to the database, too', async () => {
    const [metrics, sink] = [createMetrics('reduce', '1'), createSinkMetrics('1')]
    metrics.kafka.committed(0.2, TRACE)
    sink.wrote(1, 1, 0.2, TRACE)
    sink.wrote(1, 1, 0.02)
    const [committed, wrote] = await Promise.all([metrics.registry, sink.registry].map(openMetricsText))
    const exemplar = '# {trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"} 0.2 '
    expect(committed).toContain(`tidemark_commit_duration_seconds_bucket{le="0.25",role="reduce"} 1 ${exemplar}`)
    expect(wrote).toContain(`tidemark_flush_duration_seconds_bucket{le="0.25",role="sink"} 2 ${exemplar}`)
  })
})
