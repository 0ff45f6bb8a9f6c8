import { join } from 'node:path'
import { expect, it } from 'vitest'
import { CHART, ciFiles, describeWithTools, helm } from './support/helm.ts'

/** What a chart is tried with at least. */
const WANTED = ['default', 'keda', 'minimal', 'prod', 'sasl-tls'].map(name => `${name}-values.yaml`)

describeWithTools('helm lint --strict', () => {
  it('there are values for what people run', () => {
    expect(ciFiles()).toEqual(expect.arrayContaining(WANTED))
  })

  it.each(ciFiles())('%s', async file => {
    const done = await helm(['lint', '--strict', CHART, '--values', join(CHART, 'ci', file)])
    expect(done.stdout + done.stderr).toContain('0 chart(s) failed')
    expect(done.status).toBe(0)
  })

  it('a wrong value is found', async () => {
    const done = await helm(['lint', '--strict', CHART, '--set', 'aggregate.replicas=many'])
    expect(done.status).not.toBe(0)
    expect(done.stdout).toContain('replicas')
  })
})
