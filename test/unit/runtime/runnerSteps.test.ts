import { describe, expect, it } from 'vitest'
import { TidemarkError } from '../../../src/errors.ts'
import { RESTORE, range, running, STEPS, settle, unknownOutcome, World } from './memoryPorts.ts'

describe('a restore', () => {
  it('pauses, fences, reads the commit, then the log, and only then lets records flow', async () => {
    const world = new World()
    world.replay = 10
    world.ports.stored = { offset: 70, metadata: 'm70' }
    await world.runner.start()
    expect(world.ports.calls).toEqual(['pause', ...RESTORE, 'seek 60', 'resume'])
    expect([world.heard, world.runner.state, world.runner.live]).toEqual([['restored 60 70'], 'running', false])
  })

  it('takes no records and flushes nothing before it is done', async () => {
    const world = new World()
    const release = world.ports.hold('readCommit')
    const started = world.runner.start()
    await settle()
    world.runner.deliver(range(0, 5))
    world.runner.advance(0, 5)
    await world.runner.flush()
    expect([world.runner.task, world.ports.calls.includes('begin')]).toEqual([null, false])
    release()
    await started
    expect(world.runner.task?.position).toBe(0)
  })

  it('is tried again with longer waits, up to a bound, and fences anew each time', async () => {
    const world = new World()
    world.ports.fail('readCommit', ...Array.from({ length: 8 }, unknownOutcome))
    await world.runner.start()
    expect(world.waits).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
    expect([world.runner.state, world.fatal]).toEqual(['running', []])
    expect(world.ports.calls.filter(call => call === 'fence')).toHaveLength(9)
  })

  it.each(['refused_no_metadata', 'refused_config_hash', 'refused_replay_lost', 'refused_partition_count'] as const)(
    'ends the process at once on %s',
    async code => {
      const world = new World()
      world.refusals = [new TidemarkError(code, 'no')]
      await world.runner.start()
      expect([world.runner.state, world.waits]).toEqual(['stopped', []])
      expect(world.fatal).toMatchObject([{ code }])
    },
  )

  it('believes at the fifth look, and not before, that the commit lies beyond the log', async () => {
    const beyond = () => new TidemarkError('refused_beyond_log', 'beyond')
    const lagging = new World()
    lagging.refusals = Array.from({ length: 4 }, beyond)
    await lagging.runner.start()
    expect([lagging.runner.state, lagging.waits.length, lagging.fatal]).toEqual(['running', 4, []])
    const cut = new World()
    cut.refusals = Array.from({ length: 5 }, beyond)
    await cut.runner.start()
    expect([cut.runner.state, cut.waits.length]).toEqual(['stopped', 4])
    expect(cut.fatal).toMatchObject([{ code: 'refused_beyond_log' }])
  })

  it.each(['fence', 'readCommit', 'readLogRange'] as const)(
    'that was stopped during %s leaves no task behind',
    async step => {
      const world = new World()
      const release = world.ports.hold(step)
      const started = world.runner.start()
      await settle()
      world.runner.stop()
      release()
      await started
      expect([world.tasks, world.runner.task, world.runner.state]).toEqual([[], null, 'stopped'])
      expect(world.ports.calls.filter(call => call.startsWith('seek') || call === 'resume')).toEqual([])
    },
  )
})

describe('commit-never-passes-an-unacknowledged-partial', () => {
  const SENT = ['send partial', 'send done', 'send progress', 'send done']
  const ORDER = ['begin', 'begin done', ...SENT, 'commit 5', 'commit done']

  it.each(['begin', 'send', 'commit'] as const)('nothing comes after %s while it is not acknowledged', async step => {
    const world = await running()
    world.runner.deliver(range(0, 5))
    const release = world.ports.hold(step)
    const flushed = world.runner.flush()
    await settle()
    expect(world.ports.calls.at(-1)?.split(' ')[0]).toBe(step)
    expect([world.heard, world.ports.stored]).toEqual([[], null])
    release()
    await flushed
    expect([world.ports.calls, world.heard]).toEqual([ORDER, ['delivered 5']])
  })

  it('an empty stage is not sent, and a commit may be all there is', async () => {
    const world = await running()
    world.task.next = [[], ['progress']]
    world.runner.deliver(range(0, 5))
    await world.runner.flush()
    expect(world.ports.taken()).toEqual([
      'begin',
      'begin done',
      'send progress',
      'send done',
      'commit 5',
      'commit done',
    ])
    world.task.next = []
    world.runner.advance(5, 7)
    await world.runner.flush()
    expect(world.ports.taken()).toEqual(['begin', 'begin done', 'commit 7', 'commit done'])
  })

  it('records processed during a flush belong to the next one', async () => {
    const world = await running()
    world.runner.deliver(range(0, 5))
    const release = world.ports.hold('send')
    const first = world.runner.flush()
    await settle()
    world.runner.deliver(range(5, 9))
    release()
    await first
    expect([world.ports.stored?.offset, world.task.inputs.length]).toEqual([5, 1])
    await world.runner.flush()
    expect(world.ports.stored?.offset).toBe(9)
  })

  it('tells notices only once they are delivered', async () => {
    const world = await running()
    world.task.notices = [{ kind: 'gap', from: 1, to: 2 }]
    const release = world.ports.hold('commit')
    const flushed = world.runner.flush()
    await settle()
    expect(world.heard).toEqual([])
    release()
    await flushed
    expect(world.heard).toEqual(['delivered 0', 'gap'])
  })
})

describe('a step that fails, or whose outcome is unknown', () => {
  it.each(['begin', 'send', 'commit'] as const)(
    '%s: the state is thrown away and restored from the commit',
    async step => {
      const world = await running(2, 4)
      world.runner.deliver(range(2, 10))
      const before = world.task
      world.ports.fail(step, unknownOutcome())
      await world.runner.flush()
      // A commit that took effect before it failed is where the next life begins.
      const committed = step === 'commit' ? 10 : 4
      const at = world.ports.calls.indexOf('pause')
      expect(world.ports.calls[at - 1]?.split(' ')[0]).toBe(step)
      expect(world.ports.calls.slice(at)).toEqual(['pause', ...RESTORE, `seek ${committed - 2}`, 'resume'])
      expect(world.task).not.toBe(before)
      expect(world.heard).toEqual(['live 10', 'failed no answer', `restored ${committed - 2} ${committed}`])
      expect(world.fatal).toEqual([])
    },
  )

  it('a capture that throws is a programmer’s error: it ends the process and sends nothing', async () => {
    const world = await running()
    world.task.failure = new Error('bug')
    await world.runner.flush()
    expect([world.fatal, world.ports.calls, world.runner.state]).toEqual([[new Error('bug')], [], 'stopped'])
  })
})

describe('records', () => {
  it('below the commit are replayed, and nothing is told until it is reached', async () => {
    const world = await running(4, 10)
    world.runner.deliver(range(6, 9))
    await world.runner.flush()
    expect([world.ports.calls, world.heard]).toEqual([[], []])
    world.runner.deliver(range(9, 12))
    await world.runner.flush()
    expect([world.ports.stored?.offset, world.heard]).toEqual([12, ['live 12', 'delivered 12']])
  })

  it('are told at once past 2,000 bytes, held back once past 4,000 during the flush, and flow again after it', async () => {
    const world = await running()
    const release = world.ports.hold('commit')
    world.task.pendingBytes = 2_000
    world.runner.deliver(range(0, 5))
    expect(world.ports.calls).toEqual([])
    world.task.pendingBytes = 2_001
    world.runner.deliver(range(5, 6))
    expect(world.ports.calls[0]).toBe('begin')
    await settle()
    world.task.pendingBytes = 4_000
    world.runner.deliver(range(6, 7))
    expect(world.ports.calls).not.toContain('pause')
    world.task.pendingBytes = 4_001
    world.runner.deliver(range(7, 8))
    world.runner.deliver(range(8, 9))
    await settle()
    expect(world.ports.calls.filter(call => call === 'pause' || call === 'resume')).toEqual(['pause'])
    world.ports.calls.length = 0
    release()
    await settle()
    expect(world.ports.calls.slice(0, 3)).toEqual(['commit done', 'resume', 'begin'])
    expect(world.ports.stored?.offset).toBe(9)
  })

  it('are told at once from 100 events on, and wait for nothing when they come during a flush', async () => {
    const world = await running()
    const release = world.ports.hold('commit')
    world.task.pendingEvents = 99
    world.runner.deliver(range(0, 5))
    expect(world.ports.calls).toEqual([])
    world.task.pendingEvents = 100
    world.runner.deliver(range(5, 6))
    expect(world.ports.calls).toEqual(['begin'])
    await settle()
    world.task.pendingEvents = 1_000_000
    world.runner.deliver(range(6, 7))
    world.ports.calls.length = 0
    release()
    await settle()
    expect(world.ports.calls.slice(0, 2)).toEqual(['commit done', 'begin'])
    expect(world.ports.stored?.offset).toBe(7)
  })

  it('are not held back during the replay: there is nothing that could be told', async () => {
    const world = await running(10, 10)
    world.task.pendingBytes = 9_000
    world.runner.deliver(range(0, 5))
    expect(world.ports.calls).toEqual([])
  })
})

it('a capture is told the time, the number of sources and whether the log is idle', async () => {
  const world = await running(0, 50)
  world.runner.observe(50, { start: 0, end: 50 }, 2_000)
  world.runner.observe(50, { start: 0, end: 50 }, 7_000)
  world.now = 7_500
  await world.runner.flush()
  world.runner.deliver(range(50, 51))
  await world.runner.flush()
  const seen = { now: 7_500, sourcePartitions: 6 }
  expect(world.task.inputs).toEqual([
    { ...seen, idleAsOf: 7_000 },
    { ...seen, idleAsOf: null },
  ])
})

describe('after the end of an owner', () => {
  it.each(['begin', 'send', 'commit'] as const)('nothing new is sent when it was stopped during %s', async step => {
    const world = await running()
    const release = world.ports.hold(step)
    const flushed = world.runner.flush()
    await settle()
    world.runner.stop()
    const before = world.ports.calls.length
    release()
    await flushed
    expect(world.ports.calls.slice(before)).toEqual([`${step} done`])
    expect(world.heard).toEqual([])
  })

  it.each(STEPS)('a failure of %s changes nothing', async step => {
    const world = new World()
    const release = world.ports.hold(step)
    world.ports.fail(step, unknownOutcome())
    const started = world.runner.start()
    await settle()
    const flushed = world.runner.flush()
    await settle()
    world.runner.stop()
    const before = world.ports.calls.length
    release()
    await Promise.all([started, flushed])
    await world.runner.resume()
    await world.runner.startOver(unknownOutcome())
    world.runner.deliver(range(0, 5))
    expect([world.ports.calls.slice(before), world.runner.state, world.fatal]).toEqual([[], 'stopped', []])
  })

  it('nothing is committed when it was stopped while its last stage was on its way', async () => {
    const world = await running()
    world.task.next = [['progress']]
    const release = world.ports.hold('send')
    const flushed = world.runner.flush()
    await settle()
    world.runner.stop()
    release()
    await flushed
    expect([world.ports.calls.slice(-1), world.ports.stored]).toEqual([['send done'], null])
  })

  it('the failure of what it had on its way does not end the state that came after it', async () => {
    const world = await running()
    const release = world.ports.hold('send')
    world.ports.fail('send', unknownOutcome())
    const flushed = world.runner.flush()
    await settle()
    await world.runner.startOver(new Error('out of range'))
    const { task } = world
    release()
    await flushed
    expect([world.tasks.length, world.runner.task === task]).toEqual([2, true])
    expect(world.heard).toEqual(['failed out of range', 'restored 0 null', 'live 0'])
  })

  it('that was drained during its replay nothing was told', async () => {
    const world = await running(4, 10)
    await world.runner.drain()
    expect([world.ports.calls, world.runner.state]).toEqual([[], 'stopped'])
  })
})
