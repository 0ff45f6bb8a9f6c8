import { describe, expect, it } from 'vitest'
import { RESTORE, range, running, settle, unknownOutcome, type World } from './memoryPorts.ts'

describe('a partition kept over a rebalance', () => {
  async function kept(): Promise<World> {
    const world = await running()
    world.runner.deliver(range(0, 5))
    await world.runner.flush()
    world.runner.deliver(range(5, 9))
    world.ports.taken()
    world.heard.length = 0
    return world
  }
  const COMPARED = ['fence', 'fence done', 'readCommit', 'readCommit done']

  it('keeps its state when the commit is still the one that it wrote', async () => {
    const world = await kept()
    await world.runner.resume()
    expect(world.ports.calls).toEqual([...COMPARED, 'seek 9', 'resume'])
    expect([world.tasks.length, world.heard]).toEqual([1, []])
  })

  it('keeps its state when the commit is still the one that it was restored from', async () => {
    const world = await running(2, 10)
    await world.runner.resume()
    expect(world.ports.calls).toEqual([...COMPARED, 'seek 8', 'resume'])
    expect(world.tasks).toHaveLength(1)
  })

  it.each([
    ['another offset', { offset: 7, metadata: 'm5' }],
    ['the same offset with other metadata', { offset: 5, metadata: 'm5 of another' }],
    ['no commit', null],
  ])('restores on %s', async (_, commit) => {
    const world = await kept()
    world.ports.stored = commit
    await world.runner.resume()
    expect(world.ports.calls).toEqual([...COMPARED, 'pause', ...RESTORE, `seek ${commit?.offset ?? 0}`, 'resume'])
    expect(world.heard[0]).toBe('failed another owner has committed')
    expect(world.tasks).toHaveLength(2)
  })

  it.each(['fence', 'readCommit'] as const)('restores when %s fails', async step => {
    const world = await kept()
    world.ports.fail(step, unknownOutcome())
    await world.runner.resume()
    expect([world.tasks.length, world.runner.state, world.task.position]).toEqual([2, 'running', 5])
  })

  it.each(['fence', 'readCommit'] as const)('tells nothing while %s is awaited', async step => {
    const world = await kept()
    const release = world.ports.hold(step)
    const resumed = world.runner.resume()
    await settle()
    await world.runner.flush()
    expect(world.ports.calls).not.toContain('begin')
    release()
    await resumed
    await world.runner.flush()
    expect(world.ports.stored?.offset).toBe(9)
  })

  it('waits for the flush under way before it compares', async () => {
    const world = await kept()
    const release = world.ports.hold('commit')
    const flushed = world.runner.flush()
    await settle()
    const resumed = world.runner.resume()
    await settle()
    expect(world.ports.calls).not.toContain('fence')
    release()
    await Promise.all([flushed, resumed])
    expect([world.tasks.length, world.ports.calls.slice(-2)]).toEqual([1, ['seek 9', 'resume']])
  })
})
