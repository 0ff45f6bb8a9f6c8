import { expect, it } from 'vitest'
import { describeWithTools, type KubeObject, RELEASE, render } from './support/helm.ts'

const INSTANCE = 'app.kubernetes.io/instance'

describeWithTools('monitors', () => {
  it.each([
    ['PodMonitor', 'podMonitor', 'Deployment'],
    ['ServiceMonitor', 'serviceMonitor', 'Service'],
  ])('of kind %s name the job by the release, a label of what they select', async (kind, value, selected) => {
    const { objects } = await render({
      metrics: { [value]: { enabled: true } },
      sink: { enabled: true, embedded: true },
    })
    const { jobLabel, selector } = objects.find(object => object.kind === kind)?.spec ?? {}
    expect(jobLabel).toBe(INSTANCE)
    const labels = objects.filter(object => object.kind === selected).map(labelsOf)
    const chosen = labels.filter(each =>
      Object.entries(selector.matchLabels).every(([name, text]) => each[name] === text),
    )
    expect(chosen).toHaveLength(kind === 'PodMonitor' ? 4 : 1)
    for (const each of chosen) expect(each[INSTANCE]).toBe(RELEASE)
  })

  it('of two releases choose no pod of each other', async () => {
    const metrics = { podMonitor: { enabled: true } }
    const ours = await render({ metrics })
    const theirs = await render({ metrics }, { release: 'green' })
    const { matchLabels } = ours.objects.find(({ kind }) => kind === 'PodMonitor')?.spec.selector ?? {}
    const pods = theirs.objects.filter(({ kind }) => kind === 'Deployment').map(labelsOf)
    expect(pods.length).toBeGreaterThan(0)
    for (const labels of pods) expect(labels).not.toMatchObject(matchLabels)
  })
})

/** The labels that a monitor selects by: those of a Deployment's pods, or of the object itself. */
function labelsOf({ kind, metadata, spec }: KubeObject): Record<string, string> {
  return (kind === 'Deployment' ? spec.template.metadata : metadata).labels
}
