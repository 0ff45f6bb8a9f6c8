import { expect, it } from 'vitest'
import { runProgram } from '../../scripts/tools/run.ts'
import { ensureTool } from '../../scripts/tools.ts'
import { ciFile, describeWithTools, documents, render, type Values } from './support/helm.ts'

/** A grade of 10 is all that can be had; below that kube-score has something to say. */
const BEST_GRADE = 10

type Check = { readonly check: { readonly id: string }; readonly grade: number; readonly skipped: boolean }
type Scored = { readonly object_name: string; readonly checks: readonly Check[] }

/** What kube-score says about the default values and stays as it is, with why. */
const ACCEPTED: Readonly<Record<string, string>> = {
  'container-resources':
    'A chart cannot know the load: requests that are too high keep pods from small clusters, and limits that are too low end them. The production values set them.',
  'container-ephemeral-storage-request-and-limit':
    'All that a container may write is /tmp, and that volume has a size limit of its own (tmpSizeLimit).',
  'container-image-pull-policy':
    'Tags of releases never move, so a node that has the image need not ask again, and starts when the registry is away.',
  'pod-networkpolicy':
    'networkPolicy.enabled: off by default, since not every network enforces policies, and since brokers may be on any port.',
  'deployment-replicas':
    'One replica each is the least that counts: aggregators and reducers are scaled on their lag, and the API twice as often as asked for. The production values start with two.',
}

/** What is left of them with the production values, whose CPU has no limit by intent. */
const ACCEPTED_IN_PRODUCTION: Readonly<Record<string, string>> = {
  'container-resources': 'Memory is bounded, CPU only requested: a limit of CPU would stretch the flushes.',
  'deployment-has-host-podantiaffinity':
    'Spread constraints over zones and nodes do it, and unlike an anti-affinity they still let two pods share a node.',
  'container-ephemeral-storage-request-and-limit': ACCEPTED['container-ephemeral-storage-request-and-limit'] ?? '',
  'container-image-pull-policy': ACCEPTED['container-image-pull-policy'] ?? '',
}

describeWithTools('kube-score', () => {
  it('the default values: no finding without a reason, and no reason without a finding', async () => {
    expect(await findings({})).toEqual(Object.keys(ACCEPTED).toSorted())
  })

  it('the production values: what was only left to them is gone', async () => {
    expect(await findings({}, 'prod')).toEqual(Object.keys(ACCEPTED_IN_PRODUCTION).toSorted())
  })

  it('a finding without a reason is told', async () => {
    const found = await findings({ securityContext: { readOnlyRootFilesystem: false } })
    expect(found).toContain('container-security-context-readonlyrootfilesystem')
  })
})

/** The ids of the checks that any object does not pass, sorted. */
async function findings(values: Values, file?: string): Promise<string[]> {
  const { objects } = await render(values, file === undefined ? {} : { file: ciFile(file) })
  const program = await ensureTool('kube-score')
  const args = ['score', '--output-format=json', '--kubernetes-version=v1.34', '-']
  const done = await runProgram(program, args, { input: documents(objects), timeoutMs: 30_000 })
  const scored = JSON.parse(done.stdout) as Scored[]
  const checks = scored.flatMap(object => object.checks)
  expect(checks.length, done.stderr).toBeGreaterThan(objects.length)
  return [...new Set(checks.filter(isFinding).map(({ check }) => check.id))].toSorted()
}

function isFinding({ grade, skipped }: Check): boolean {
  return !skipped && grade < BEST_GRADE
}
