import { join } from 'node:path'
import { expect, it } from 'vitest'
import { staleChartFiles } from '../../scripts/chart.ts'
import { ciFile, describeWithTools, KUSTOMIZATIONS, kustomize, Rendering, ROOT, render } from './support/helm.ts'

describeWithTools('k8s/', () => {
  it('is what the chart makes, and so are the generated parts of the chart', () => {
    expect(staleChartFiles(ROOT)).toEqual([])
  })

  it.each(KUSTOMIZATIONS)('$name builds', async ({ path }) => {
    expect((await kustomize(path)).length).toBeGreaterThan(1)
  })

  // Its Job only creates topics: without Helm there is no upgrade that could be held back.
  it('the base has the workloads of the default values, the overlay those of KEDA', async () => {
    const workloads = (rendering: Rendering) =>
      rendering.objects
        .filter(({ kind }) => ['Deployment', 'ScaledObject', 'Service'].includes(kind))
        .map(({ kind, metadata }) => `${kind} ${metadata.name}`)
        .toSorted()
    const at = async (name: string) => {
      const found = KUSTOMIZATIONS.find(kustomization => kustomization.name === name)
      return new Rendering(await kustomize(found?.path ?? ''))
    }
    const release = { release: 'tidemark' }
    expect(workloads(await at('k8s-base'))).toEqual(workloads(await render({}, release)))
    const keda = await render({ autoscaling: { keda: { enabled: true } } }, release)
    expect(workloads(await at('k8s-overlays-keda'))).toEqual(workloads(keda))
  })

  // Kubernetes reads 0440 as octal, and a YAML 1.2 parser as 440: what is generated must say what the chart says.
  it('the production overlay mounts its secrets as the chart does', async () => {
    const chart = await render({}, { file: ciFile('prod'), release: 'tidemark' })
    const overlay = new Rendering(await kustomize(join(ROOT, 'k8s', 'overlays', 'prod')))
    const volumes = (rendering: Rendering) =>
      rendering.ofKind('Deployment').map(({ metadata, spec }) => [metadata.name, spec.template.spec.volumes])
    expect(Object.fromEntries(volumes(overlay))).toEqual(Object.fromEntries(volumes(chart)))
  })
})
