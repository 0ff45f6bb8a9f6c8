import { accessSync, constants, existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { instructionsOf, stagesOf } from './support/dockerfile.ts'
import { CHART, describeWithTools, kustomize, objectsOf, ROOT, render } from './support/helm.ts'
import { type Patch, patched } from './support/jsonPatch.ts'
import { SKAFFOLD_SCHEMA } from './support/skaffoldSchema.ts'

// biome-ignore lint/suspicious/noExplicitAny: the schema tells what it holds
type Config = any
type Profile = { readonly name: string; readonly patches?: readonly Patch[] }

const validate = new Ajv({ allErrors: true, strict: false }).compile(SKAFFOLD_SCHEMA)
const configs: Config[] = objectsOf(readFileSync(join(ROOT, 'skaffold.yaml'), 'utf8'))
const RELEASE = 'tidemark'

/** How people call it: profiles by name, applied in the order of the file as Skaffold does. */
const CALLS = [[], ['dev'], ['prod'], ['offline'], ['buildah'], ['dev', 'buildah', 'buildah-dev'], ['prod', 'buildah']]

/** What a call comes to: every configuration with the patches of these profiles. */
function called(profiles: readonly string[]): Config[] {
  return configs.map(config => {
    const own = ((config.profiles ?? []) as Profile[]).filter(({ name }) => profiles.includes(name))
    return patched(
      config,
      own.flatMap(({ patches = [] }) => patches),
    )
  })
}

describe('skaffold.yaml', () => {
  it('keeps to its format', () => {
    for (const config of configs) {
      validate(config)
      expect(validate.errors, config.metadata.name).toBeNull()
    }
  })

  it('a key that the format does not know is found', () => {
    expect(validate({ ...configs[0], portForwards: [] })).toBe(false)
    expect(validate(patched(configs[1], [{ op: 'add', path: '/deploy/helm/releases/0/values', value: {} }]))).toBe(
      false,
    )
  })

  it('the calls below use every profile', () => {
    const names = configs.flatMap(({ profiles = [] }) => profiles.map(({ name }: Profile) => name))
    expect([...new Set(CALLS.flat())].toSorted()).toEqual([...new Set(names)].toSorted())
  })
})

describe.each(CALLS.map(profiles => ({ profiles, title: profiles.join(' and ') || 'no profile' })))(
  'with $title',
  ({ profiles }) => {
    const documents = called(profiles)
    const artifacts: Config[] = documents.flatMap(({ build }) => build?.artifacts ?? [])
    const releases: Config[] = documents.flatMap(({ deploy }) => deploy?.helm?.releases ?? [])
    const forwards: Config[] = documents.flatMap(({ portForward }) => portForward ?? [])
    const kustomizations: string[] = documents.flatMap(({ manifests }) => manifests?.kustomize?.paths ?? [])

    it('it keeps to its format still', () => {
      for (const document of documents) {
        validate(document)
        expect(validate.errors, document.metadata.name).toBeNull()
      }
    })

    it('what is built exists', () => {
      expect(artifacts.map(({ image }) => image)).toEqual(['tidemark'])
      for (const { docker, custom, sync } of artifacts) {
        if (docker !== undefined) expect(stageNames(docker.dockerfile)).toContain(docker.target)
        if (custom !== undefined) {
          const [script, target] = custom.buildCommand.split(' ')
          expect(() => accessSync(join(ROOT, script), constants.X_OK)).not.toThrow()
          expect(stageNames('Dockerfile')).toContain(target)
          for (const path of custom.dependencies.paths) expect(globSync(path, { cwd: ROOT }), path).not.toEqual([])
        }
        for (const { src } of sync?.manual ?? []) expect(globSync(src, { cwd: ROOT }), src).not.toEqual([])
      }
    })

    it('what is deployed and asked for exists', () => {
      const names = configs.map(({ metadata }) => metadata.name)
      for (const { requires = [] } of documents) {
        for (const { configs: wanted } of requires) for (const name of wanted) expect(names).toContain(name)
      }
      for (const path of kustomizations) expect(existsSync(join(ROOT, path, 'kustomization.yaml')), path).toBe(true)
      for (const { chartPath, valuesFiles = [] } of releases) {
        expect(join(ROOT, chartPath)).toBe(CHART)
        for (const file of valuesFiles) expect(existsSync(join(ROOT, file)), file).toBe(true)
      }
    })

    it('every value that is set is one of the chart', () => {
      const values = parse(readFileSync(join(CHART, 'values.yaml'), 'utf8'))
      for (const { setValues = {}, setValueTemplates = {} } of releases) {
        for (const path of Object.keys({ ...setValues, ...setValueTemplates })) {
          const value = path.split('.').reduce((at, key) => at?.[key], values)
          expect(value, path).toBeDefined()
        }
      }
    })

    describeWithTools('it renders', () => {
      it('and the ports that are forwarded are there', async () => {
        const [release] = releases
        const file = release.valuesFiles?.[0]
        const options = file === undefined ? {} : { file: join(ROOT, file) }
        const chart = await render(nested(release.setValues ?? {}), { ...options, release: RELEASE })
        const others = await Promise.all(kustomizations.map(path => kustomize(join(ROOT, path))))
        const services = [...chart.objects, ...others.flat()].filter(({ kind }) => kind === 'Service')
        for (const { resourceName, port } of forwards) {
          const service = services.find(({ metadata }) => metadata.name === resourceName)
          expect(
            service?.spec.ports.map((entry: { port: number }) => entry.port),
            resourceName,
          ).toContain(port)
        }
      })
    })
  },
)

function stageNames(dockerfile: string): (string | null)[] {
  return stagesOf(instructionsOf(readFileSync(join(ROOT, dockerfile), 'utf8'))).map(({ name }) => name)
}

/** `{'kafka.brokers': 'x'}` as Helm's --set takes it: {kafka: {brokers: 'x'}}. */
function nested(flat: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [path, value] of Object.entries(flat)) {
    const keys = path.split('.')
    const last = keys.pop() ?? ''
    let at = result
    for (const key of keys) {
      at[key] ??= {}
      at = at[key] as Record<string, unknown>
    }
    at[last] = value
  }
  return result
}
