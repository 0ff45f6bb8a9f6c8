import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { must, run } from './support/run.ts'

/** Where the lab keeps all that it has: certificates, state, images, logs. */
export type Lab = { readonly home: string; readonly kubeconfig: string }

/** What a program of the lab is called, and the Debian package that has it. */
const PACKAGES: readonly (readonly [program: string, debian: string])[] = [
  ['containerd', 'containerd'],
  ['runc', 'runc'],
  ['/usr/lib/cni/bridge', 'containernetworking-plugins'],
  ['iptables', 'iptables'],
  ['nft', 'nftables'],
  ['conntrack', 'conntrack'],
  ['ipset', 'ipset'],
  ['/bin/busybox', 'busybox-static'],
  ['debootstrap', 'debootstrap'],
  ['buildah', 'buildah'],
  ['socat', 'socat'],
  ['ethtool', 'ethtool'],
  ['modprobe', 'kmod'],
  ['ip', 'iproute2'],
  ['docker-registry', 'docker-registry'],
  ['curl', 'curl'],
  ['jq', 'jq'],
  ['openssl', 'openssl'],
  ['gcc', 'gcc libc6-dev'],
]
const SCRIPTS = join(import.meta.dirname, 'lab')
const ROOT = join(import.meta.dirname, '..', '..')
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin']
const TOOLS_LIMIT_MS = 45 * 60_000
const SCRIPT_LIMIT_MS = 10 * 60_000

export function labOf(env: NodeJS.ProcessEnv): Lab {
  const cache = env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const home = env.TIDEMARK_CLUSTER_HOME || join(cache, 'tidemark-cluster')
  return { home, kubeconfig: join(home, 'pki', 'admin.conf') }
}

/** The Debian packages whose programs are missing. @param exists whether there is such a file */
export function missingPackages(env: NodeJS.ProcessEnv, exists: (path: string) => boolean = existsSync): string[] {
  const folders = [...(env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS]
  const there = (program: string) =>
    program.startsWith('/') ? exists(program) : folders.some(folder => exists(join(folder, program)))
  return PACKAGES.filter(([program]) => !there(program)).map(([, debian]) => debian)
}

/** The environment in which the lab's scripts, kubectl and helm run. @param tools the folder of the programs */
export function labEnv(env: NodeJS.ProcessEnv, tools: string): NodeJS.ProcessEnv {
  const { home, kubeconfig } = labOf(env)
  return {
    ...env,
    TIDEMARK_CLUSTER_HOME: home,
    TIDEMARK_CLUSTER_TOOLS: tools,
    KUBECONFIG: kubeconfig,
    PATH: [tools, env.PATH, ...SYSTEM_FOLDERS].join(delimiter),
  }
}

/** Builds the programs that are missing, which takes a quarter of an hour the first time. @returns their folder */
export async function toolsFolder(env: NodeJS.ProcessEnv, names: readonly string[]): Promise<string> {
  if (env.TIDEMARK_CLUSTER_TOOLS) return env.TIDEMARK_CLUSTER_TOOLS
  const args = [join(ROOT, 'scripts', 'tools.ts'), ...names]
  const stdout = await must(process.execPath, args, { env, cwd: ROOT, limitMs: TOOLS_LIMIT_MS, shown: true })
  return stdout.trim().split('\n').at(-1) ?? ''
}

/** Whether the lab's API answers. */
export async function labRuns(env: NodeJS.ProcessEnv): Promise<boolean> {
  const { home, kubeconfig } = labOf(env)
  if (!existsSync(kubeconfig) || !existsSync(join(home, 'run', 'kube-apiserver.pid'))) return false
  const ran = await run('curl', ['-sk', '-o', '/dev/null', '--max-time', '3', 'https://10.250.0.1:6443/readyz'])
  return ran.code === 0
}

/** @throws Error with the line that would install what is missing */
export async function labUp(env: NodeJS.ProcessEnv, say: (text: string) => void): Promise<NodeJS.ProcessEnv> {
  const missing = missingPackages(env)
  if (missing.length > 0) {
    throw new Error(`programs are missing: apt-get update && apt-get install -y ${missing.join(' ')}`)
  }
  say('programs of Kubernetes and KEDA, from their Go modules (a quarter of an hour the first time)')
  const inLab = labEnv(env, await toolsFolder(env, ['--all']))
  for (const script of ['up.sh', 'keda.sh', 'node-image.sh']) {
    say((await must(join(SCRIPTS, script), [], { env: inLab, limitMs: SCRIPT_LIMIT_MS })).trim())
  }
  return inLab
}

export async function labDown(env: NodeJS.ProcessEnv, wipe: boolean, say: (text: string) => void): Promise<void> {
  const { home } = labOf(env)
  if (!existsSync(home) || readdirSync(home).length === 0) return say(`there is no cluster in ${home}`)
  // Without its programs nothing of it can be running, but kube-proxy's rules would stay.
  const inLab = labEnv(env, env.TIDEMARK_CLUSTER_TOOLS ?? (await toolsFolder(env, ['kube-proxy'])))
  say((await must(join(SCRIPTS, 'down.sh'), wipe ? ['--wipe'] : [], { env: inLab, limitMs: SCRIPT_LIMIT_MS })).trim())
}
