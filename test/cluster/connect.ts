import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { labEnv, labOf, labRuns, labUp, toolsFolder } from './lab.ts'
import { Kube } from './support/kube.ts'
import { run } from './support/run.ts'
import { chooseTarget, type Known, type Target, type Wish } from './target.ts'

/** A cluster that answers, and how to speak to it. */
export type Cluster = {
  readonly target: Target
  readonly kube: Kube
  /** True when this call has brought it up. */
  readonly started: boolean
}

const LAB_CONTEXT = 'lab'

/**
 * Finds the cluster for trials, or brings the lab up when there is none.
 * @throws Error saying what is missing and what to do
 */
export async function connect(env: NodeJS.ProcessEnv, wish: Wish, say: (text: string) => void): Promise<Cluster> {
  const known = await look(env)
  const choice = chooseTarget(known, wish)
  if ('refused' in choice) throw new Error(choice.refused)
  const { target, why } = choice
  say(`cluster: ${target.kind === 'lab' ? `the one of this machine, ${labOf(env).home}` : target.context} (${why})`)
  if (target.kind !== 'lab') {
    const kube = new Kube(await withPrograms(env), target.context)
    await kube.kubectl(['get', 'nodes'], { limitMs: 20_000 })
    return { target, kube, started: false }
  }
  const inLab = known.labRuns ? labEnv(env, await toolsFolder(env, ['--all'])) : await labUp(env, say)
  return { target, kube: new Kube(inLab, LAB_CONTEXT), started: !known.labRuns }
}

async function look(env: NodeJS.ProcessEnv): Promise<Known> {
  const running = await labRuns(env)
  const root = process.getuid?.() === 0
  if (!onPath(env, 'kubectl')) return { contexts: [], current: null, labRuns: running, root }
  const asked = await run('kubectl', ['config', 'view', '-o', 'json'], { env })
  const config = (asked.code === 0 ? JSON.parse(asked.stdout) : {}) as {
    readonly contexts?: readonly { readonly name: string }[] | null
    readonly 'current-context'?: string
  }
  const contexts = (config.contexts ?? []).map(({ name }) => name)
  return { contexts, current: config['current-context'] || null, labRuns: running, root }
}

/** kubectl and helm are taken as they are; what is missing is built. */
async function withPrograms(env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const missing = ['kubectl', 'helm'].filter(program => !onPath(env, program))
  if (missing.length === 0) return env
  return { ...env, PATH: [await toolsFolder(env, missing), env.PATH].join(delimiter) }
}

function onPath(env: NodeJS.ProcessEnv, program: string): boolean {
  return (env.PATH ?? '').split(delimiter).some(folder => existsSync(join(folder, program)))
}
