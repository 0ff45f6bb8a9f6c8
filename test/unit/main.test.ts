import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import type { CommandFile } from '../../src/commands/command.ts'
import { EXIT, TidemarkError } from '../../src/errors.ts'
import { runCli } from '../../src/main.ts'

type Told = { readonly exitCode: number; readonly stdout: string; readonly stderr: string }

async function cli(args: string[], env: NodeJS.ProcessEnv = {}, command?: CommandFile): Promise<Told> {
  const told = { stdout: '', stderr: '' }
  const sink = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      told[name] += text
    },
  })
  const context = { env, readFile: () => '{"version":"1.2.3"}', stdout: sink('stdout'), stderr: sink('stderr') }
  const commands = command && { probe: { summary: 'a probe', load: async () => ({ command }) } }
  const exitCode = await runCli(args, context, commands)
  return { exitCode, ...told }
}

function failing(error: unknown): CommandFile {
  return {
    run: async () => {
      throw error
    },
  }
}

describe('exit codes and messages', () => {
  it('gives a command its options, arguments and context, and returns its exit code', async () => {
    const seen: unknown[] = []
    const command: CommandFile = {
      define: probe => probe.argument('<what>').option('--many <n>'),
      run: async (context, options, args) => {
        seen.push(context.env.A, options, args)
        return EXIT.failed
      },
    }
    expect(await cli(['probe', 'it', '--many', '3'], { A: 'b' }, command)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: '',
    })
    expect(seen).toEqual(['b', { many: '3' }, ['it']])
  })

  it('tells a TidemarkError in plain lines with a hint', async () => {
    const told = await cli(['probe'], {}, failing(new TidemarkError('unreachable', 'no broker at x:1')))
    expect(told.exitCode).toBe(EXIT.refused)
    expect(told.stderr).toMatch(/^tidemark: no broker at x:1\ntidemark: hint: is the broker running.*\n$/)
  })

  it('tells any other error with its stack, as a crash', async () => {
    const told = await cli(['probe'], {}, failing(new RangeError('odd')))
    expect(told.exitCode).toBe(EXIT.crashed)
    expect(told.stderr).toMatch(/^tidemark: RangeError: odd\n {4}at /)
  })

  it.each([[[]], [['conifg']], [['config', 'extra']], [['config', '--jso']], [['--verbose']]])(
    'takes %j for wrong usage',
    async args => {
      const told = await cli(args)
      expect([told.exitCode, told.stdout]).toEqual([EXIT.usage, ''])
      expect(told.stderr).not.toBe('')
    },
  )

  it.each([['--help'], ['--version'], ['help']])('%s is done well', async arg => {
    const told = await cli([arg])
    expect([told.exitCode, told.stderr]).toEqual([EXIT.done, ''])
    expect(told.stdout).not.toBe('')
  })

  it('loads only the file of the command that is used', async () => {
    const command: CommandFile = { run: async () => EXIT.done }
    const load = async () => {
      throw new Error('loaded')
    }
    const context = { env: {}, readFile: () => '{}', stdout: { write: () => true }, stderr: { write: () => true } }
    const commands = { used: { summary: '', load: async () => ({ command }) }, unused: { summary: '', load } }
    expect(await runCli(['used'], context, commands)).toBe(EXIT.done)
  })
})

describe('tidemark config', () => {
  it('masks secrets', async () => {
    const env = { KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'hunter2' }
    for (const args of [['config'], ['config', '--json'], ['config', '--docs']]) {
      expect((await cli(args, env)).stdout).not.toContain('hunter2')
    }
    const { settings } = JSON.parse((await cli(['config', '--json'], env)).stdout)
    expect(settings.KAFKA_SASL_PASSWORD).toEqual({ value: '***', source: 'environment' })
  })

  it('refuses bad settings, but prints the reference all the same', async () => {
    const env = { WINDOW_SIZE: '7s', CHUNK_SIZE: '-1' }
    const told = await cli(['config'], env)
    expect([told.exitCode, told.stdout]).toEqual([EXIT.usage, ''])
    expect(told.stderr.split('\n').slice(0, 2)).toEqual([
      expect.stringContaining('WINDOW_SIZE is "7s"'),
      expect.stringContaining('CHUNK_SIZE is "-1"'),
    ])
    expect((await cli(['config', '--docs'], env)).exitCode).toBe(EXIT.done)
  })
})

it('as a process it ends with the exit code, without a stack for a bad setting', () => {
  const env = { ...process.env, WINDOW_SIZE: '7s' }
  const done = spawnSync('node', ['src/main.ts', 'config'], { encoding: 'utf8', env })
  expect([done.status, done.stdout]).toEqual([EXIT.usage, ''])
  expect(done.stderr).toMatch(/^tidemark: WINDOW_SIZE is "7s"/)
  expect(done.stderr).not.toContain('    at ')
})
