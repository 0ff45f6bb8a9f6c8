import type { TestProject } from 'vitest/node'
import { ensureModules } from '../../../scripts/tools/modules.ts'
import { ensureTools } from '../../../scripts/tools.ts'
import { TidemarkError } from '../../../src/errors.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Why Helm and the API server cannot be had here; null when they are there. */
    readonly toolsMissing: string | null
  }
}

/**
 * Once, before a suite: the programs that it runs, which are built when they are absent. Without Go a person loses the
 * tests that need them, with a word about it; in CI that fails, since nobody would read the word.
 */
export default async function setup(project: TestProject): Promise<void> {
  project.provide('toolsMissing', await whyMissing(project.name))
}

async function whyMissing(suite: string): Promise<string | null> {
  try {
    await ensureTools(['helm', 'kubectl', 'etcd', 'kube-apiserver', 'kube-score'])
    await ensureModules()
    return null
  } catch (error) {
    if (!(error instanceof TidemarkError) || isCi()) throw error
    console.error(`suite ${suite}: tests that need Helm or an API server are left out. ${error.message}`)
    return error.message
  }
}

function isCi(): boolean {
  return !['', '0', 'false'].includes(process.env.CI ?? '')
}
