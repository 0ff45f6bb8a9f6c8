import { expect, it } from 'vitest'
import { environmentOf, settingsOf } from './support/environment.ts'
import { describeWithTools, FULL_NAME, type KubeObject, podsOf, render } from './support/helm.ts'

describeWithTools('before an installation or upgrade touches any pod', () => {
  it('one hook checks that the settings may go on, and after it another creates the topics', async () => {
    const rendering = await render()
    const steps = ['prepare-check', 'prepare'].map(component => rendering.get('Job', component))
    expect(steps.map(({ spec }) => spec.template.spec.containers[0].args)).toEqual([
      ['topics', 'check', '--wait', '60s'],
      ['topics', '--wait', '60s'],
    ])
    const [check, create] = steps.map(({ metadata }) => Number(metadata.annotations['helm.sh/hook-weight'])) as [
      number,
      number,
    ]
    expect(check).toBeLessThan(create)
    for (const { metadata, spec } of steps) {
      expect(metadata.annotations).toMatchObject({
        'helm.sh/hook': 'pre-install,pre-upgrade',
        'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded',
        // Why it was refused stands in the log, and Helm shows it.
        'helm.sh/hook-output-log-policy': 'hook-failed',
      })
      expect(spec.template.spec.restartPolicy).toBe('Never')
      // What is refused stays refused.
      expect(spec.backoffLimit).toBe(0)
      expect(spec.activeDeadlineSeconds).toBeGreaterThan(60)
    }
  })

  it("the hooks bring their own settings: the release's ConfigMap is not there yet, or still the old one", async () => {
    const rendering = await render({ config: { WINDOW_SIZE: '5s', GEO_DATABASE: '/geo/cities.mmdb' } })
    const shared = rendering.get('ConfigMap').data
    for (const component of ['prepare-check', 'prepare']) {
      const { spec } = rendering.get('Job', component).spec.template
      expect(spec.containers[0].envFrom).toBeUndefined()
      expect(environmentOf(rendering, spec.containers[0])).toMatchObject(shared)
      // Nor is the release's service account.
      expect(spec.serviceAccountName).toBe('default')
      expect(spec.automountServiceAccountToken).toBe(false)
    }
  })

  it('they check the same settings that the pods will have', async () => {
    const rendering = await render({ kafka: { topics: { partitions: 24 } }, config: { ROLLUPS: 'none' } })
    const [hook] = podsOf(rendering.get('Job', 'prepare-check')) as [KubeObject]
    const [pod] = podsOf(rendering.get('Deployment', 'serve')) as [KubeObject]
    expect(settingsOf(rendering, hook)).toEqual(settingsOf(rendering, pod))
  })

  it('where Strimzi makes the topics there is only the check', async () => {
    const rendering = await render({ strimzi: { cluster: 'events', topics: { enabled: true } } })
    expect(rendering.ofKind('Job').map(({ metadata }) => metadata.name)).toEqual([`${FULL_NAME}-prepare-check`])
  })

  it('can be switched off', async () => {
    expect((await render({ prepare: { enabled: false } })).ofKind('Job')).toEqual([])
  })
})

describeWithTools('helm test', () => {
  it('runs a probe that really counts a login, and is no part of an installation', async () => {
    const pod = (await render({ tests: { timeout: '30s' } })).get('Pod', 'test')
    expect(pod.metadata.annotations['helm.sh/hook']).toBe('test')
    expect(pod.spec.containers[0].args).toEqual(['probe', '--timeout', '30s'])
    expect(pod.spec.restartPolicy).toBe('Never')
  })
})

describeWithTools('the audit', () => {
  it('runs when told, one at a time, and a difference fails it for good', async () => {
    const values = { audit: { enabled: true, schedule: '*/5 * * * *', random: 3, extraArgs: ['--size', '1m'] } }
    const { spec } = (await render(values)).get('CronJob', 'audit')
    expect(spec).toMatchObject({ schedule: '*/5 * * * *', timeZone: 'Etc/UTC', concurrencyPolicy: 'Forbid' })
    const job = spec.jobTemplate.spec
    expect(job.backoffLimit).toBe(0)
    expect(job.template.spec.restartPolicy).toBe('Never')
    expect(job.template.spec.containers[0].args).toEqual(['audit', '--random', '3', '--size', '1m'])
  })

  it('is off by default', async () => {
    expect((await render()).ofKind('CronJob')).toEqual([])
  })
})
