/**
 * The part of Skaffold's configuration format v4beta13 that this project uses, as a JSON schema that refuses every other
 * key: Skaffold itself cannot be had from a package registry. A key that is new in skaffold.yaml is added here from its
 * reference (https://skaffold.dev/docs/references/yaml/?version=v4beta13).
 */
const text = { type: 'string', minLength: 1 } as const
const texts = { type: 'array', items: text } as const
const port = { type: 'integer', minimum: 1, maximum: 65_535 } as const
const values = { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } } as const

/** An object with these keys and no others. */
function object(properties: Readonly<Record<string, object>>, required: readonly string[] = []): object {
  return { type: 'object', properties, required, additionalProperties: false }
}

function list(items: object): object {
  return { type: 'array', items }
}

const docker = object({
  dockerfile: text,
  target: text,
  buildArgs: values,
  network: text,
  noCache: { type: 'boolean' },
})

const custom = object(
  { buildCommand: text, dependencies: { ...object({ paths: texts, ignore: texts, command: text }), maxProperties: 2 } },
  ['buildCommand'],
)

const sync = object({
  manual: list(object({ src: text, dest: text, strip: text }, ['src', 'dest'])),
  infer: texts,
  auto: { type: 'boolean' },
})

const artifact = {
  ...object(
    { image: text, context: text, docker, custom, sync, requires: list(object({ image: text, alias: text })) },
    ['image'],
  ),
  // Two builders for one image are refused by Skaffold.
  not: { required: ['docker', 'custom'] },
}

const build = object({
  artifacts: list(artifact),
  insecureRegistries: texts,
  tagPolicy: {
    ...object({ inputDigest: object({}), sha256: object({}), gitCommit: object({ variant: text }) }),
    maxProperties: 1,
  },
  local: object({ push: { type: 'boolean' }, useBuildkit: { type: 'boolean' }, concurrency: { type: 'integer' } }),
})

const release = {
  ...object(
    {
      name: text,
      chartPath: text,
      remoteChart: text,
      namespace: text,
      createNamespace: { type: 'boolean' },
      valuesFiles: texts,
      setValues: values,
      setValueTemplates: values,
      skipTests: { type: 'boolean' },
      wait: { type: 'boolean' },
    },
    ['name'],
  ),
  oneOf: [{ required: ['chartPath'] }, { required: ['remoteChart'] }],
}

const deploy = object({
  statusCheck: { type: 'boolean' },
  statusCheckDeadlineSeconds: { type: 'integer', minimum: 1 },
  kubeContext: text,
  kubectl: object({ defaultNamespace: text }),
  helm: object({ releases: list(release), flags: object({ global: texts, install: texts, upgrade: texts }) }),
  logs: object({ prefix: { enum: ['auto', 'container', 'podAndContainer', 'none'] } }),
})

const manifests = object({ rawYaml: texts, kustomize: object({ paths: texts, buildArgs: texts }) })

const portForward = list(
  object({ resourceType: text, resourceName: text, namespace: text, address: text, port, localPort: port }, [
    'resourceType',
    'resourceName',
    'port',
  ]),
)

const activation = list(object({ env: { type: 'string', pattern: '^\\w+=' }, kubeContext: text, command: text }))

const patch = object(
  { op: { enum: ['add', 'remove', 'replace', 'move', 'copy', 'test'] }, path: text, from: text, value: {} },
  ['path'],
)

const profile = object({ name: text, activation, requiresAllActivations: { type: 'boolean' }, patches: list(patch) }, [
  'name',
])

/** One configuration: a document of skaffold.yaml. */
export const SKAFFOLD_SCHEMA = object(
  {
    apiVersion: { const: 'skaffold/v4beta13' },
    kind: { const: 'Config' },
    metadata: object({ name: text }),
    requires: list(
      object({
        configs: texts,
        path: text,
        activeProfiles: list(object({ name: text, activatedBy: texts }, ['name'])),
      }),
    ),
    build,
    manifests,
    deploy,
    portForward,
    profiles: list(profile),
  },
  ['apiVersion', 'kind'],
)
