import { describe, expect, test } from 'vitest'
import { chooseTarget, type Known } from '../../cluster/target.ts'

const NOTHING: Known = { contexts: [], current: null, labRuns: false, root: false }
const known = (more: Partial<Known>): Known => ({ ...NOTHING, ...more })

describe('chooseTarget', () => {
  test('takes kind and minikube as they are found', () => {
    const kind = known({ contexts: ['kind-tide', 'prod'], current: 'kind-tide' })
    expect(chooseTarget(kind, {})).toMatchObject({ target: { kind: 'kind', context: 'kind-tide', cluster: 'tide' } })
    const minikube = known({ contexts: ['minikube'], current: 'minikube', root: true })
    expect(chooseTarget(minikube, {})).toMatchObject({ target: { kind: 'minikube', profile: 'minikube' } })
  })

  test('never takes a cluster that may be in earnest unless it is named', () => {
    const earnest = known({ contexts: ['prod'], current: 'prod' })
    expect(chooseTarget(earnest, {})).toMatchObject({ refused: expect.stringContaining('the current context is prod') })
    expect(chooseTarget({ ...earnest, root: true }, {})).toMatchObject({ target: { kind: 'lab' } })
    expect(chooseTarget(earnest, { context: 'prod', registry: 'registry.example' })).toMatchObject({
      target: { kind: 'other', context: 'prod', registry: 'registry.example' },
    })
  })

  test('a named cluster needs a way for its images', () => {
    const wish = { context: 'prod' }
    expect(chooseTarget(known({ contexts: ['prod'] }), wish)).toMatchObject({
      refused: expect.stringContaining('--registry'),
    })
    expect(chooseTarget(known({ contexts: ['other'] }), wish)).toMatchObject({
      refused: 'there is no context prod; known: other',
    })
  })

  test('the lab is taken when it runs, and built only by root', () => {
    expect(chooseTarget(known({ labRuns: true, contexts: ['kind-x'], current: 'kind-x' }), {})).toMatchObject({
      target: { kind: 'lab' },
    })
    expect(chooseTarget(NOTHING, { fromPackages: true })).toMatchObject({ refused: expect.stringContaining('root') })
    expect(chooseTarget(known({ root: true }), { fromPackages: true })).toMatchObject({ target: { kind: 'lab' } })
    expect(chooseTarget(NOTHING, {})).toMatchObject({ refused: expect.stringContaining('there is no kubeconfig') })
  })

  test('two wishes that exclude each other are refused', () => {
    expect(chooseTarget(known({ root: true }), { context: 'kind-x', fromPackages: true })).toHaveProperty('refused')
  })
})
