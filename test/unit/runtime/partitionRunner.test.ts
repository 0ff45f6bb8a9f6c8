import { describe, expect, test } from 'vitest'
import { TidemarkError } from '../../../src/errors.ts'
import { ArrayBatch } from '../support.ts'
import { RunnerWorld, type Step, settle } from './runnerWorld.ts'

const RESTORE = ['pause', 'fence', 'readCommit', 'readLogRange']
const FLUSH = ['begin', 'send partial', 'send progress']
const lost = () => new TidemarkError('delivery_failed', 'no answer', { retriable: true })

async function running(): Promise<RunnerWorld> {
  const world = new RunnerWorld()
  await world.runner.start()
  world.take()
  return world
}

const read = (world: RunnerWorld, from: number, to: number) =>
  world.runner.deliver(new ArrayBatch([], { baseOffset: from, nextOffset: to }))

describe('a start', () => {
  test('fences before it reads the commit, and lets records flow from the task position', async () => {
    const world = new RunnerWorld()
    world.committed = { offset: 7, metadata: '' }
    await world.runner.start()
    expect(world.calls).toEqual([...RESTORE, 'seek 7', 'resume'])
    expect(world.runner.state).toBe('running')
  })

  test.each<[Step]>([['fence'], ['readCommit'], ['readLogRange']])(
    'tries %s again, waiting longer each time',
    async step => {
      const world = new RunnerWorld()
      world.failNext(step, lost(), lost(), lost())
      await world.runner.start()
      expect([world.runner.state, world.failed.length, world.slept]).toEqual(['running', 3, [100, 200, 400]])
      expect(world.undelivered).toEqual([null, null, null])
    },
  )

  test('believes a log that ends below the commit only after some tries', async () => {
    const refusal = new TidemarkError('refused_beyond_log', 'beyond')
    const patient = new RunnerWorld()
    patient.onRestore = () => {
      if (patient.slept.length < 4) throw refusal
    }
    await patient.runner.start()
    expect([patient.runner.state, patient.fatal]).toEqual(['running', []])

    const lastly = new RunnerWorld()
    lastly.onRestore = () => {
      throw refusal
    }
    await lastly.runner.start()
    expect([lastly.runner.state, lastly.fatal]).toEqual(['stopped', [refusal]])
  })

  test.each([new TidemarkError('refused_config_hash', 'changed'), new TypeError('a mistake of ours')])(
    'ends at once with %s',
    async error => {
      const world = new RunnerWorld()
      world.onRestore = () => {
        throw error
      }
      await world.runner.start()
      expect([world.fatal, world.slept, world.runner.task]).toEqual([[error], [], null])
    },
  )
})

describe('commit-never-passes-an-unacknowledged-partial', () => {
  test('stages go one after the other, then the commit', async () => {
    const world = await running()
    read(world, 0, 5)
    const release = world.hold('send')
    const flushed = world.runner.flush()
    await settle()
    expect(world.calls).toEqual(['begin', 'send partial'])
    release()
    await flushed
    expect(world.calls).toEqual([...FLUSH, 'commit 5'])
  })

  test.each<[Step]>([['begin'], ['send'], ['commit']])(
    'a failed %s ends the state, and nothing later is sent',
    async step => {
      const world = await running()
      const before = world.task
      read(world, 0, 5)
      world.failNext(step, lost())
      await world.runner.flush()
      const done = { begin: 1, send: 2, commit: 4 }[step as 'begin' | 'send' | 'commit']
      expect(world.calls).toEqual([...[...FLUSH, 'commit 5'].slice(0, done), ...RESTORE, 'seek 0', 'resume'])
      expect([world.runner.state, world.task === before, world.committed]).toEqual(['running', false, null])
      expect(world.undelivered).toEqual([5])
    },
  )

  test('one flush at a time: a second joins the first', async () => {
    const world = await running()
    read(world, 0, 5)
    const release = world.hold('commit')
    const first = world.runner.flush()
    read(world, 5, 9)
    expect(world.runner.flush()).toBe(first)
    release()
    await first
    expect(world.take()).toEqual([...FLUSH, 'commit 5'])
    await world.runner.flush()
    expect(world.take()).toEqual([...FLUSH, 'commit 9'])
  })

  test('nothing is captured before the committed offset is reached', async () => {
    const world = await running()
    world.task.live = false
    read(world, 0, 5)
    await world.runner.flush()
    expect(world.calls).toEqual([])
  })
})

describe('nothing is sent after the end', () => {
  test.each<[string, (world: RunnerWorld) => unknown]>([
    ['stop', world => world.runner.stop()],
    ['startOver', world => world.runner.startOver(lost())],
  ])('of the state, by %s in the middle of a flush', async (_, end) => {
    const world = await running()
    read(world, 0, 5)
    const release = world.hold('send')
    const flushed = world.runner.flush()
    await settle()
    end(world)
    await settle()
    release()
    await flushed
    expect(world.calls.filter(call => /send|commit/.test(call))).toEqual(['send partial'])
  })

  test('of a runner that is stopped while it restores: no record flows', async () => {
    const world = new RunnerWorld()
    const release = world.hold('readCommit')
    const started = world.runner.start()
    await settle()
    world.runner.stop()
    release()
    await started
    expect([world.calls, world.tasks]).toEqual([['pause', 'fence', 'readCommit'], []])
    await world.runner.startOver(lost())
    read(world, 0, 5)
    await world.runner.flush()
    expect(world.runner.state).toBe('stopped')
  })

  test('drain waits for the flush under way, and tells what came meanwhile', async () => {
    const world = await running()
    read(world, 0, 5)
    const release = world.hold('commit')
    void world.runner.flush()
    await settle()
    read(world, 5, 9)
    const drained = world.runner.drain()
    release()
    await drained
    expect(world.calls).toEqual([...FLUSH, 'commit 5', ...FLUSH, 'commit 9'])
    expect([world.runner.state, world.committed?.offset]).toEqual(['stopped', 9])
  })
})

describe('records', () => {
  test('are taken only where the task stands', async () => {
    const world = await running()
    read(world, 0, 5)
    read(world, 0, 5)
    read(world, 7, 9)
    world.runner.advance(4, 6)
    expect(world.task.position).toBe(5)
    world.runner.advance(5, 6)
    expect(world.task.position).toBe(6)
  })

  test('are told at once when much waits, held back when that goes on during the flush, and flow again after it', async () => {
    const world = await running()
    const release = world.hold('commit')
    world.task.pendingBytes = 2001
    read(world, 0, 5)
    await settle()
    expect(world.take()).toEqual([...FLUSH, 'commit 5'])
    world.task.pendingBytes = 4001
    read(world, 5, 9)
    await settle()
    expect(world.take()).toEqual(['pause'])
    release()
    await settle()
    expect(world.take()).toEqual(['resume', ...FLUSH, 'commit 9'])
  })

  test('that break the task end the process', async () => {
    const world = await running()
    world.task.process = () => {
      throw new TypeError('a mistake of ours')
    }
    read(world, 0, 5)
    expect([world.fatal.length, world.runner.state]).toEqual([1, 'stopped'])
  })

  test('are asked for again where the task wants it, before the capture is on its way', async () => {
    const world = await running()
    read(world, 0, 5)
    world.task.seekTo = 2
    await world.runner.flush()
    expect(world.calls).toEqual(['seek 2', ...FLUSH, 'commit 5'])
  })
})

describe('after a rebalance that leaves the partition here', () => {
  const kept = async () => {
    const world = await running()
    read(world, 0, 5)
    await world.runner.flush()
    read(world, 5, 8)
    world.take()
    return world
  }

  test('the state is kept when the commit is still ours', async () => {
    const world = await kept()
    await world.runner.resume()
    expect(world.calls).toEqual(['fence', 'readCommit', 'seek 8', 'resume'])
    expect(world.tasks).toHaveLength(1)
  })

  test.each([[{ offset: 6, metadata: 'm' }], [{ offset: 5, metadata: 'other' }], [null]])(
    'it is restored when the commit is %j',
    async commit => {
      const world = await kept()
      world.committed = commit
      await world.runner.resume()
      expect(world.tasks).toHaveLength(2)
      expect(world.calls.slice(-2)).toEqual([`seek ${commit?.offset ?? 0}`, 'resume'])
    },
  )

  test('nothing is told before the commits are compared', async () => {
    const world = await kept()
    const release = world.hold('fence')
    const resumed = world.runner.resume()
    await world.runner.flush()
    await settle()
    expect(world.calls).toEqual(['fence'])
    release()
    await resumed
    await world.runner.flush()
    expect(world.calls.slice(-1)).toEqual(['commit 8'])
  })

  // A transactional delivery that is fenced twice at once keeps one connection too many, or the producer that the other fenced.
  test('a second rebalance does not fence while the first still does', async () => {
    const world = await kept()
    const release = world.hold('fence')
    const both = [world.runner.resume(), world.runner.resume()]
    await settle()
    expect(world.calls).toEqual(['fence'])
    release()
    await Promise.all(both)
    expect(world.tasks).toHaveLength(1)
  })
})

// A record that the broker will never take must not make an owner read its chunk again and again at full speed.
test('a delivery that fails each time is tried again more and more slowly', async () => {
  const world = await running()
  world.failNext('send', ...Array.from({ length: 6 }, lost))
  for (let i = 0; i < 6; i++) {
    read(world, 0, 5)
    await world.runner.flush()
  }
  expect(world.slept.length).toBeGreaterThan(0)
  expect([...world.slept].sort((a, b) => a - b)).toEqual(world.slept)
})
