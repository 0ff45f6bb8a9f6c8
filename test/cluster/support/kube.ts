import { must, type Ran, type RunOptions, run } from './run.ts'

/** kubectl and helm against one cluster. */
export class Kube {
  readonly env: NodeJS.ProcessEnv
  readonly context: string
  constructor(env: NodeJS.ProcessEnv, context: string) {
    this.env = env
    this.context = context
  }

  /** @throws Error with what kubectl said when it failed */
  kubectl(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return must('kubectl', ['--context', this.context, ...args], { env: this.env, ...options })
  }

  tryKubectl(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return run('kubectl', ['--context', this.context, ...args], { env: this.env, ...options })
  }

  /** What `kubectl get ... -o json` says. */
  async get<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.kubectl(['get', ...args, '-o', 'json'])) as T
  }

  helm(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
    return run('helm', ['--kube-context', this.context, ...args], { env: this.env, ...options })
  }
}
