import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from '../../../scripts/tools/run.ts'
import { ensureTool } from '../../../scripts/tools.ts'
import { freePorts } from '../../../src/dev/kafka/ports.ts'
import { type CrdSet, crdFiles } from './crds.ts'
import { type Server, startServer } from './processes.ts'
import { waitForReady } from './ready.ts'

const START_ATTEMPTS = 3
const READY_TIMEOUT_MS = 120_000
const KUBECTL_TIMEOUT_MS = 60_000

export type ApiServerOptions = {
  /** Whose custom resources the server is to know; none by default. */
  readonly crds?: readonly CrdSet[]
}

/**
 * An API server with its etcd and nothing else: no controller, no scheduler, no node. So a namespace has a default service
 * account only by `createNamespace` (`default` has one), a deleted namespace stays in Terminating, and a pod stays Pending.
 */
export type ApiServer = {
  /** `https://127.0.0.1:<port>`. */
  readonly url: string
  /** A file with the server, its certificate and an administrator's token. */
  readonly kubeconfigPath: string
  /**
   * Runs kubectl as the administrator, with `input` as its standard input.
   *
   * @returns its standard output
   * @throws Error with what it wrote to standard error, when it fails or takes over a minute
   */
  kubectl(args: readonly string[], input?: string): Promise<string>
  /** Makes a namespace with its default service account; `restricted` enforces that Pod Security level. */
  createNamespace(name: string, options?: { readonly restricted?: boolean }): Promise<void>
  /** Ends both processes and removes their folder. A second call does nothing. */
  stop(): Promise<void>
}

/**
 * Starts a real kube-apiserver on an etcd of its own, on free loopback ports, in a temporary folder: RBAC on, and the
 * default admission (among it Pod Security and service accounts). Both end with this process too, however it ends.
 *
 * @throws TidemarkError 'unreachable' when the programs can neither be found nor built
 * @throws Error with the end of the logs, when they do not become ready within two minutes
 */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  const programs: Programs = {
    etcd: await ensureTool('etcd'),
    apiServer: await ensureTool('kube-apiserver'),
    kubectl: await ensureTool('kubectl'),
  }
  const files = await crdFiles(options.crds ?? [])
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(programs, files)
    } catch (error) {
      // A port that was free a moment ago may be taken by now; anything else fails the same way again.
      if (attempt === START_ATTEMPTS || !String(error).includes('address already in use')) throw error
    }
  }
}

type Programs = { readonly etcd: string; readonly apiServer: string; readonly kubectl: string }

async function startOnce(programs: Programs, crds: readonly string[]): Promise<ApiServer> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-api-'))
  const servers: Server[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map(server => server.kill()))
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const [clientPort, peerPort, port] = (await freePorts(3, '127.0.0.1')) as [number, number, number]
    const token = randomBytes(24).toString('hex')
    const identity = await writeIdentity(folder, token)
    const etcdUrl = `http://127.0.0.1:${clientPort}`
    servers.push(startServer(programs.etcd, etcdArgs(folder, etcdUrl, `http://127.0.0.1:${peerPort}`), folder))
    servers.push(startServer(programs.apiServer, apiServerArgs(identity, etcdUrl, port), folder))
    const url = `https://127.0.0.1:${port}`
    await waitForReady({ url, certificate: identity.certificate, token }, servers, READY_TIMEOUT_MS)
    const kubeconfigPath = join(folder, 'kubeconfig.json')
    await writeFile(kubeconfigPath, kubeconfig(url, identity.certificate, token), { mode: 0o600 })
    const kubectl = kubectlOf(programs.kubectl, kubeconfigPath, folder)
    const createNamespace = namespaceMaker(kubectl)
    await Promise.all([installCrds(kubectl, crds), createNamespace('default')])
    return { url, kubeconfigPath, kubectl, stop, createNamespace }
  } catch (error) {
    await stop()
    throw error
  }
}

type Identity = {
  readonly folder: string
  readonly tokenFile: string
  readonly serviceAccountKey: string
  /** Written by the API server itself at its start: a self-signed certificate and the authority that signed it. */
  readonly certificate: string
}

async function writeIdentity(folder: string, token: string): Promise<Identity> {
  const certificates = join(folder, 'certificates')
  await mkdir(certificates)
  const tokenFile = join(folder, 'tokens.csv')
  await writeFile(tokenFile, `${token},admin,admin,"system:masters"\n`, { mode: 0o600 })
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const serviceAccountKey = join(folder, 'service-account.pem')
  await writeFile(serviceAccountKey, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 })
  return { folder: certificates, tokenFile, serviceAccountKey, certificate: join(certificates, 'apiserver.crt') }
}

function etcdArgs(folder: string, clientUrl: string, peerUrl: string): string[] {
  return [
    '--name=test',
    `--data-dir=${join(folder, 'etcd')}`,
    // Nothing here outlives the process.
    '--unsafe-no-fsync',
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=test=${peerUrl}`,
    '--log-level=warn',
  ]
}

function apiServerArgs(identity: Identity, etcdUrl: string, port: number): string[] {
  return [
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${identity.folder}`,
    `--etcd-servers=${etcdUrl}`,
    `--token-auth-file=${identity.tokenFile}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${identity.serviceAccountKey}`,
    `--service-account-signing-key-file=${identity.serviceAccountKey}`,
    '--service-cluster-ip-range=10.96.0.0/16',
    // The `kubernetes` Service cannot have a loopback address as its endpoint.
    '--endpoint-reconciler-type=none',
    '--profiling=false',
  ]
}

function kubeconfig(server: string, certificate: string, token: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': certificate } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin', namespace: 'default' } }],
    'current-context': 'test',
  })
}

function kubectlOf(program: string, kubeconfigPath: string, folder: string): ApiServer['kubectl'] {
  const own = [`--kubeconfig=${kubeconfigPath}`, `--cache-dir=${join(folder, 'discovery')}`]
  return async (args, input) => {
    const done = await runProgram(program, [...args, ...own], { input, timeoutMs: KUBECTL_TIMEOUT_MS })
    if (done.status === 0) return done.stdout
    throw new Error(`kubectl ${args.join(' ')} failed (${done.status ?? 'timed out'}):\n${done.stderr || done.stdout}`)
  }
}

async function installCrds(kubectl: ApiServer['kubectl'], files: readonly string[]): Promise<void> {
  if (files.length === 0) return
  const named = files.flatMap(file => ['-f', file])
  await kubectl(['apply', '--server-side', ...named])
  await kubectl(['wait', '--for=condition=Established', '--timeout=30s', ...named])
}

function namespaceMaker(kubectl: ApiServer['kubectl']): ApiServer['createNamespace'] {
  return async (name, { restricted = false } = {}) => {
    const labels = restricted ? { 'pod-security.kubernetes.io/enforce': 'restricted' } : {}
    const items = [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: name } },
    ]
    await kubectl(['apply', '--server-side', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  }
}
