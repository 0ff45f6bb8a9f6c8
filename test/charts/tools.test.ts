import { spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { toolOf } from '../../scripts/tools/catalogue.ts'
import { ensureTool, ensureTools } from '../../scripts/tools.ts'

/** Stands in for Go: notes each call, and writes a "program" to where it was told to. */
const FAKE_GO = `#!/bin/sh
echo "$*" >>"$(dirname "$0")/calls"
if [ "$1" = version ]; then echo "go version go1.26.1 linux/amd64"; exit 0; fi
sleep 0.1
while [ $# -gt 0 ]; do if [ "$1" = -o ]; then echo program >"$2"; fi; shift; done
`
const PATH = process.env.PATH
const HOME = `helm-${toolOf('helm').version}`

let scratch: string
let cacheFolder: string
let said: string[]
const say = (line: string) => said.push(line)

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tools-test-'))
  cacheFolder = join(scratch, 'cache')
  said = []
  await mkdir(join(scratch, 'bin'))
  await useGo(FAKE_GO)
  process.env.PATH = `${join(scratch, 'bin')}:/usr/bin:/bin`
})
afterEach(async () => {
  process.env.PATH = PATH
  await rm(scratch, { recursive: true, force: true })
})

async function useGo(script: string): Promise<void> {
  await writeFile(join(scratch, 'bin', 'go'), script)
  await chmod(join(scratch, 'bin', 'go'), 0o755)
}

async function builds(): Promise<string[]> {
  const calls = await readFile(join(scratch, 'bin', 'calls'), 'utf8').catch(() => '')
  return calls.split('\n').filter(line => line.startsWith('build'))
}

const ensureHelm = () => ensureTool('helm', { cacheFolder, say })

describe('a tool', () => {
  it('is built once, in a folder with its version, and said to be', async () => {
    const path = await ensureHelm()
    expect(path).toBe(join(cacheFolder, 'tools', HOME, 'helm'))
    expect(await ensureHelm()).toBe(path)
    expect(await builds()).toHaveLength(1)
    expect(said).toEqual([
      expect.stringMatching(/^building helm 3\.\d+\.\d+ from its Go modules into .*min/),
      expect.stringMatching(/^built helm 3\.\d+\.\d+ in \d+ s$/),
    ])
    expect((await readdir(join(cacheFolder, 'tools'))).toSorted()).toEqual(['bin', HOME])
  })

  it('says its own version, and that of the Kubernetes that it renders for', async () => {
    await ensureHelm()
    const [call = ''] = await builds()
    expect(call).toContain(`version.version=v${toolOf('helm').version}`)
    expect(call).toContain('chartutil.k8sVersionMinor=34')
  })

  it('stands with others in one folder for PATH', async () => {
    const folder = await ensureTools(['helm', 'etcd'], { cacheFolder, say })
    expect((await readdir(folder)).toSorted()).toEqual(['etcd', 'helm'])
    expect(await readFile(join(folder, 'helm'), 'utf8')).toBe('program\n')
  })

  it('is built once by two at once', async () => {
    const [one, other] = await Promise.all([ensureHelm(), ensureHelm()])
    expect(one).toBe(other)
    expect(await builds()).toHaveLength(1)
  })

  it.each([
    ['it was cut off', (home: string) => writeFile(join(home, 'helm'), 'pro')],
    ['it is gone', (home: string) => rm(join(home, 'helm'))],
    ['its marker is broken', (home: string) => writeFile(join(home, 'built.json'), '{')],
    [
      'it was made from other modules',
      (home: string) => writeFile(join(home, 'built.json'), '{"recipe":"x","size":8}'),
    ],
  ])('is built anew when %s', async (_name, damage) => {
    await damage(join(await ensureHelm(), '..'))
    expect((await stat(await ensureHelm())).size).toBe(8)
    expect(await builds()).toHaveLength(2)
  })
})

describe('a build', () => {
  it('that fails tells what Go said, and leaves nothing', async () => {
    await useGo(`#!/bin/sh\nif [ "$1" = version ]; then echo go1.26; else echo "no such host: proxy" >&2; exit 1; fi`)
    await expect(ensureHelm()).rejects.toThrow(/`go build` failed in scripts\/tools\/helm .*\n.*no such host: proxy/)
    expect(await readdir(join(cacheFolder, 'tools'))).toEqual([])
  })

  it('without Go says where to get it', async () => {
    await rm(join(scratch, 'bin', 'go'))
    await expect(ensureHelm()).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringMatching(/Go 1\.24 or later.*there is no `go` on PATH.*https:\/\/go\.dev\/dl/),
    })
  })

  it('by a Go that is too old to fetch a later one says so', async () => {
    await useGo('#!/bin/sh\necho go version go1.19.8 linux/amd64')
    await expect(ensureHelm()).rejects.toThrow('the `go` on PATH is 1.19')
  })

  it('takes the lock of one that died', async () => {
    const child = spawn('/bin/true')
    await new Promise(resolve => child.on('exit', resolve))
    await mkdir(join(cacheFolder, 'tools', 'build.lock'), { recursive: true })
    await writeFile(join(cacheFolder, 'tools', 'build.lock', 'owner'), String(child.pid))
    await mkdir(join(cacheFolder, 'tools', `${HOME}.building-${child.pid}`))
    await ensureHelm()
    expect((await readdir(join(cacheFolder, 'tools'))).toSorted()).toEqual(['bin', HOME])
  })
})
