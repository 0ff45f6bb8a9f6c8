import { COUNTING, DAMAGE, EVENTS, REPLAY } from './countingMutations.ts'
import { AGGREGATE, type Mutation, REDUCE_START, RUNNER, START } from './mutation.ts'
import { FINALITY, REDUCING } from './reducingMutations.ts'
import { ROLLUPS } from './rollupMutations.ts'

export type { Mutation } from './mutation.ts'

const TELLING: readonly Mutation[] = [
  {
    rule: 'Progress is told after the partials that it covers',
    file: AGGREGATE,
    find: 'stages: [records, progress],',
    replace: 'stages: [progress, records],',
    seeds: 300,
    expects: ['progress-truth'],
  },
  {
    rule: 'A commit waits until everything before it is acknowledged',
    file: RUNNER,
    find: 'if (stage.length > 0) await this.#ports.send(stage)',
    replace: 'if (stage.length > 0) this.#ports.send(stage).catch(() => {})',
    seeds: 500,
    expects: ['commit-truth', 'progress-truth', 'revision-grows', 'no-invariant'],
  },
  {
    rule: 'One flush at a time',
    file: RUNNER,
    find: 'if (this.#flushing !== null) return this.#flushing',
    replace: '',
    seeds: 1000,
    expects: ['commit-truth', 'progress-truth', 'coverage', 'totals'],
  },
  {
    rule: 'A capture is one synchronous step: what is processed later belongs to the next',
    file: AGGREGATE,
    find: 'return { stages: [records, progress], commit: this.#commit(), ...this.#takeReport(records) }',
    replace:
      'const later = () => this.#commit()\n    return { stages: [records, progress], get commit() { return later() }, ...this.#takeReport(records) }',
    seeds: 1000,
    expects: ['commit-truth'],
  },
  {
    rule: 'After a failed step or an unknown outcome the state is thrown away',
    file: RUNNER,
    find: '      await this.#deliverCapture(task, capture)\n    } catch (error) {\n      if (this.#task === task) await this.#startOver(error, capture)',
    replace:
      '      await this.#deliverCapture(task, capture)\n    } catch (error) {\n      this.#options.on.failed?.(error, capture)',
    seeds: 1000,
    expects: ['commit-truth', 'progress-truth', 'comes-to-rest', 'totals', 'coverage'],
  },
  {
    rule: 'The fence comes before the commit is read',
    file: RUNNER,
    find: "    await this.#ports.fence()\n    if (this.#state !== 'restoring') return\n    // After the fence: no earlier owner's transaction can still change the commit.\n    const commit = await this.#ports.readCommit()\n",
    replace:
      "    const commit = await this.#ports.readCommit()\n    if (this.#state !== 'restoring') return\n    await this.#ports.fence()\n",
    seeds: 4000,
    expects: [
      'event-once',
      'commit-goes-on',
      'monotone-final',
      'revision-grows',
      'dead-letters-true',
      'corrected-is-news',
      'rollup-totals',
    ],
  },
  {
    rule: 'State is kept over a rebalance only when the commit is still ours',
    file: RUNNER,
    find: "if (!sameCommit(commit, this.#lastCommit)) throw new TidemarkError('unassigned', 'another owner has committed')",
    replace: '',
    from: 470,
    seeds: 4000,
    expects: [
      'commit-goes-on',
      'monotone-final',
      'revision-grows',
      'dead-letters-true',
      'corrected-is-news',
      'rollup-totals',
    ],
  },
  {
    rule: 'Nothing is told while an owner that had its partition before compares the commits',
    file: RUNNER,
    find: 'if (this.#resuming > 0 || ',
    replace: 'if (',
    from: 4150,
    seeds: 8000,
    expects: [
      'commit-goes-on',
      'monotone-final',
      'revision-grows',
      'dead-letters-true',
      'corrected-is-news',
      'rollup-totals',
    ],
  },
  {
    rule: 'A batch counts only when it begins at the position',
    file: RUNNER,
    find: 'if (batch.baseOffset > task.position) {',
    replace: 'if (batch.baseOffset < 0) {',
    seeds: 500,
    expects: ['stream-totals', 'commit-truth', 'partial-true', 'coverage', 'no-invariant'],
  },
  {
    rule: 'Skipped offsets count only when they begin at the position',
    file: RUNNER,
    find: '|| from !== task.position) return',
    replace: ') return',
    seeds: 1000,
    expects: ['totals', 'stream-totals', 'commit-truth', 'partial-true', 'coverage', 'no-invariant', 'rollup-sums'],
  },
]

const REFUSING: readonly Mutation[] = [
  {
    rule: "An aggregator refuses a commit without our metadata (an operator's reset)",
    file: START,
    find: 'if (commit === null) {',
    replace: 'if (commit === null || commit.metadata.length < 9) {',
    seeds: 4000,
    expects: ['refusal'],
  },
  {
    rule: 'An aggregator refuses a commit under another config hash',
    file: START,
    find: 'if (commit.configHash !== settings.configHash) {',
    replace: 'if (commit.offset < 0) {',
    from: 200,
    seeds: 4000,
    expects: ['refusal'],
  },
  {
    rule: 'An aggregator refuses another number of partials partitions',
    file: START,
    find: 'if (commit.partialsPartitions !== settings.partialsPartitions) {',
    replace: 'if (commit.offset < 0) {',
    from: 230,
    seeds: 4000,
    expects: ['refusal'],
  },
  {
    rule: "An aggregator refuses a commit beyond the log's end",
    file: START,
    find: 'if (commit.offset > log.end) {',
    replace: 'if (commit.offset < 0) {',
    seeds: 4000,
    expects: ['refusal'],
  },
  {
    rule: "A reducer refuses a commit without our metadata (an operator's reset)",
    file: REDUCE_START,
    find: 'if (commit === null) {',
    replace: 'if (commit === null || commit.metadata.length < 9) {',
    seeds: 4000,
    expects: ['refusal'],
  },
  {
    rule: 'A reducer refuses a commit under another config hash',
    file: REDUCE_START,
    find: 'if (last.configHash !== configHash) {',
    replace: 'if (last.offset < 0) {',
    seeds: 4000,
    expects: ['refusal'],
  },
  {
    rule: "A reducer refuses a commit beyond the log's end",
    file: REDUCE_START,
    find: 'if (last.offset > log.end) {',
    replace: 'if (last.offset < 0) {',
    seeds: 4000,
    expects: ['refusal'],
  },
  {
    rule: 'A reducer refuses when retention has passed its replayFrom',
    file: REDUCE_START,
    find: 'if (last.replayFrom < log.start) {',
    replace: 'if (last.offset < 0) {',
    from: 180,
    seeds: 4000,
    expects: ['refusal'],
  },
  {
    rule: 'A reducer refuses partials whose beginning nobody has read',
    file: REDUCE_START,
    find: 'if (log.start > 0) {',
    replace: 'if (log.start < 0) {',
    seeds: 4000,
    expects: ['refusal'],
  },
]

/** Every safety rule of the counting, each with what turns it off. */
export const mutations: readonly Mutation[] = [
  ...COUNTING,
  ...EVENTS,
  ...DAMAGE,
  ...REPLAY,
  ...TELLING,
  ...FINALITY,
  ...REDUCING,
  ...ROLLUPS,
  ...REFUSING,
]

/** Markdown: rule | where | switch | what goes red. */
export function renderMutationTable(): string {
  const rows = mutations.map(({ rule, file, find, replace, expects }) => {
    const cells = [rule, `\`${file}\``, switchOf(find, replace), expects.map(name => `\`${name}\``).join(', ')]
    return `| ${cells.join(' | ')} |`
  })
  return ['| Rule | Where | Switch | What goes red |', '|---|---|---|---|', ...rows].join('\n')
}

/** The switch in a cell: line breaks and bars would end it. */
function switchOf(find: string, replace: string): string {
  const cell = (text: string) => `\`${text.trim().replace(/\s+/g, ' ').replaceAll('|', '\\|')}\``
  return replace.trim() === '' ? `without ${cell(find)}` : `${cell(find)} becomes ${cell(replace)}`
}
