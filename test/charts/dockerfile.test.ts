import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { instructionsOf, lintDockerfile, stagesOf } from './support/dockerfile.ts'
import { ROOT, VERSION } from './support/helm.ts'

const FILES = ['Dockerfile', 'k8s/dev/kafka-image/Dockerfile']
/** What keeps the rule about apt-get's lists. */
const CLEAN = '&& rm -rf /var/lib/apt/lists/*'
const text = (path: string) => readFileSync(join(ROOT, path), 'utf8')

describe('the rules', () => {
  it.each(FILES)('%s keeps them', file => {
    expect(lintDockerfile(text(file))).toEqual([])
  })

  const good = ['FROM debian:12', 'USER 1000', 'ENTRYPOINT ["x"]']
  it('a plain image keeps them', () => {
    expect(lintDockerfile(good.join('\n'))).toEqual([])
  })

  it.each([
    ['FROM debian', 'name a tag'],
    ['FROM debian:latest', 'name a tag'],
    ['FROM $BASE', 'name a tag'],
    ['FROM debian:12\nADD x y', 'line 2: ADD'],
    ['FROM debian:12\nCOPY --from=nowhere a b', 'no such stage before'],
    [`FROM debian:12\nRUN apt-get install -y --no-install-recommends x ${CLEAN}`, 'update in the same RUN'],
    [`FROM debian:12\nRUN apt-get update && apt-get install -y x ${CLEAN}`, 'without --no-install-recommends'],
    [
      `FROM debian:12\nRUN apt-get update \\\n# why\n && apt-get install --no-install-recommends x ${CLEAN}`,
      'line 2: RUN',
    ],
    ['FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends x', 'lists of apt-get stay'],
    ['FROM node:24\nRUN npm install', 'npm ci'],
    ['FROM node:24\nRUN curl https://example.org/x | sh', 'has just fetched'],
    ['FROM node:24\nENV API_TOKEN=x', 'mount a secret'],
    ['FROM node:24\nWORKDIR app', 'must be absolute'],
    ['FROM node:24\nCMD node main.js', 'takes no signals'],
  ])('%j: %s', (beginning, told) => {
    expect(lintDockerfile(`${beginning}\n${good.slice(1).join('\n')}`)).toEqual([expect.stringContaining(told)])
  })

  it.each([
    ['FROM debian:12\nENTRYPOINT ["x"]', 'runs as root'],
    ['FROM debian:12\nUSER 0\nENTRYPOINT ["x"]', 'a number above 0'],
    ['FROM debian:12\nUSER node\nENTRYPOINT ["x"]', 'a number above 0'],
    ['FROM debian:12\nUSER 1000\nCMD ["x"]', 'no ENTRYPOINT'],
  ])('%j: %s', (file, told) => {
    expect(lintDockerfile(file)).toEqual([expect.stringContaining(told)])
  })
})

describe('the image of Tidemark', () => {
  const instructions = instructionsOf(text('Dockerfile'))
  const stages = stagesOf(instructions)
  const image = stages.at(-1)
  const of = (name: string) => image?.instructions.filter(instruction => instruction.name === name) ?? []

  it('runs under the user that the chart names, behind an init that hands on signals, on the port that is probed', () => {
    expect(of('USER').map(({ text }) => text)).toEqual(['10001:10001'])
    expect(JSON.parse(of('ENTRYPOINT')[0]?.text ?? '')[0]).toBe('tini')
    expect(of('EXPOSE').map(({ text }) => text)).toEqual(['8080'])
    expect(of('HEALTHCHECK')[0]?.text).toContain('/livez')
  })

  it('says what it is, with the version of the program', () => {
    const labels = of('LABEL')[0]?.text ?? ''
    for (const label of ['title', 'description', 'licenses', 'version', 'revision', 'created']) {
      expect(labels).toContain(`org.opencontainers.image.${label}=`)
    }
    expect(of('ARG').map(({ text }) => text)).toContain(`VERSION=${VERSION}`)
  })

  it('has production packages only, and compiles nothing when it runs', () => {
    const packages = stages.find(({ name }) => name === 'packages')?.instructions ?? []
    expect(packages.some(({ text }) => text.includes('npm ci --omit=dev'))).toBe(true)
    expect(of('COPY').some(({ text }) => text.includes('--from=packages'))).toBe(true)
    expect(of('RUN')).toEqual([])
  })

  it('copies files that exist and that .dockerignore lets in', () => {
    const allowed = text('.dockerignore')
      .split('\n')
      .filter(line => line.startsWith('!'))
      .map(line => line.slice(1))
    const sources = instructions
      .filter(({ name, text }) => name === 'COPY' && !text.includes('--from='))
      .flatMap(({ text }) =>
        text
          .split(' ')
          .filter(word => !word.startsWith('--'))
          .slice(0, -1),
      )
    expect(sources).toContain('package-lock.json')
    for (const source of sources) {
      expect(existsSync(join(ROOT, source)), source).toBe(true)
      expect(
        allowed.some(path => source === path || source.startsWith(`${path}/`)),
        `${source} in .dockerignore`,
      ).toBe(true)
    }
  })
})
