/** A safety rule with the switch that turns it off: the simulation must then fail. */
export type Mutation = {
  /** The rule, one sentence. */
  readonly rule: string
  readonly file: string
  /** Source text that occurs exactly once in the file. */
  readonly find: string
  readonly replace: string
  /** Seeds to try at most. */
  readonly seeds: number
  /** The checks that may find it; the first failure must be one of them. */
  readonly expects: readonly string[]
}

const AGGREGATE = 'src/tasks/aggregateTask.ts'
const START = 'src/tasks/aggregateStart.ts'
const REDUCE = 'src/tasks/reduceTask.ts'
const REDUCE_START = 'src/tasks/reduceStart.ts'
const HELD = 'src/tasks/heldWindow.ts'
const RUNNER = 'src/runtime/partitionRunner.ts'
const IDLE = 'src/runtime/idleness.ts'

const COUNTING: readonly Mutation[] = [
  {
    rule: 'Of the partials of one (p, from) the one with the greatest through wins',
    file: HELD,
    find: 'else if (partial.through > other.through) parts[at] = partial',
    replace: 'else if (partial.through !== other.through) parts[at] = partial',
    seeds: 3000,
    expects: ['coverage', 'revision-grows', 'totals'],
  },
  {
    rule: 'Partials are kept by (p, from), not by p alone',
    file: HELD,
    find: 'if (other === undefined) parts.push(partial)',
    replace: 'if (other === undefined) parts[0] = partial',
    seeds: 500,
    expects: ['coverage', 'revision-grows'],
  },
  {
    rule: 'A revision is the sum of (through - from)',
    file: HELD,
    find: 'for (const part of parts) sum += part.through - part.from',
    replace: 'sum += parts.length',
    seeds: 1000,
    expects: ['no-two-truths', 'corrected-is-news'],
  },
  {
    rule: 'Sub-chunks that overlap are admitted in the coverage',
    file: HELD,
    find: 'if (part.from < coverage.through) coverage.twice.push([part.from, coverage.through])',
    replace: '',
    seeds: 4000,
    expects: ['coverage'],
  },
  {
    rule: 'A sub-chunk inside a greater partial adds nothing',
    file: HELD,
    find: 'if (part.through <= coverage.through) continue',
    replace: '',
    seeds: 4000,
    expects: ['coverage'],
  },
  {
    rule: "A finished chunk's windows are told once more, through the chunk's end",
    file: AGGREGATE,
    find: 'this.#sealed.push({ record: this.#partialRecord(index, window, this.#chunkEnd) })',
    replace: 'this.#sealed.push({ record: this.#partialRecord(index, window, this.#committed) })',
    seeds: 300,
    expects: ['partial-true', 'progress-truth', 'commit-truth'],
  },
  {
    rule: 'A chunk counts from nothing',
    file: AGGREGATE,
    find: '    this.#windows.clear()\n',
    replace: '',
    seeds: 300,
    expects: ['partial-true'],
  },
  {
    rule: 'A chunk begins with the clock of the prefix before it',
    file: AGGREGATE,
    find: '    this.#clockAtFrom = this.#clock\n',
    replace: '',
    seeds: 300,
    expects: ['partial-true', 'commit-truth'],
  },
  {
    rule: 'A position at or past the end of a chunk is in the next one',
    file: AGGREGATE,
    find: 'if (this.#position >= this.#chunkEnd) this.#startChunk(this.#position)',
    replace: '',
    seeds: 1000,
    expects: ['replay-bounded', 'commit-truth'],
  },
  {
    rule: 'Lateness is decided by the clock of the prefix, not by the time of the record',
    file: AGGREGATE,
    find: 'windowEndMs(index, windowSizeMs) + allowedLatenessMs > this.#clock',
    replace: 'windowEndMs(index, windowSizeMs) + allowedLatenessMs > batch.timestamp',
    seeds: 300,
    expects: ['partial-true', 'stream-totals'],
  },
  {
    rule: 'Lateness is decided by the clock before the record, and rebuilding begins with it',
    file: AGGREGATE,
    find: 'const index = windowIndexOf(event.timeMs, windowSizeMs)',
    replace:
      'const index = windowIndexOf(event.timeMs, windowSizeMs)\n    this.#clock = Math.max(this.#clock, Math.min(event.timeMs, batch.timestamp))',
    seeds: 300,
    expects: ['commit-truth'],
  },
  {
    rule: "An event's time moves the clock no further than its record's time",
    file: AGGREGATE,
    find: 'const advance = event.timeMs < batch.timestamp ? event.timeMs : batch.timestamp',
    replace: 'const advance = event.timeMs',
    seeds: 300,
    expects: ['partial-true', 'stream-totals'],
  },
  {
    rule: 'Another generation is ignored',
    file: REDUCE,
    find: 'else if (message.generation !== this.#settings.generation) return\n',
    replace: '',
    seeds: 1000,
    expects: ['coverage', 'final-justified', 'totals', 'simulation'],
  },
]

const REPLAY: readonly Mutation[] = [
  {
    rule: 'Totals are not counted again below the committed offset',
    file: AGGREGATE,
    find: '      if (!told) {\n        this.#totals.accepted++',
    replace: '      if (told || !told) {\n        this.#totals.accepted++',
    seeds: 500,
    expects: ['stream-totals', 'partial-true'],
  },
  {
    rule: 'Below the committed offset no window becomes dirty: one closed before may be rebuilt in part only',
    file: AGGREGATE,
    find: '        this.#totals.accepted++\n        if (!window.dirty) {',
    replace: '        this.#totals.accepted++\n      }\n      {\n        if (!window.dirty) {',
    seeds: 2000,
    expects: ['partial-true'],
  },
  {
    rule: 'Late records are not counted again below the committed offset',
    file: AGGREGATE,
    find: '} else if (!told) this.#totals.late++',
    replace: '} else this.#totals.late++',
    seeds: 1000,
    expects: ['stream-totals'],
  },
  {
    rule: 'Rejected records are not counted again below the committed offset',
    file: AGGREGATE,
    find: 'if (!told) this.#reject(code, offset)',
    replace: 'this.#reject(code, offset)',
    seeds: 500,
    expects: ['stream-totals'],
  },
  {
    rule: 'A rebuild begins at replayFrom, not at the committed offset',
    file: START,
    find: '    position: last.replayFrom,\n    clock: last.clockAtReplayFrom,',
    replace: '    position: last.offset,\n    clock: last.clock,',
    seeds: 500,
    expects: ['partial-true'],
  },
  {
    rule: 'A rebuild begins with the clock at replayFrom',
    file: START,
    find: 'clock: last.clockAtReplayFrom,',
    replace: 'clock: last.clock,',
    seeds: 1000,
    expects: ['partial-true', 'commit-truth'],
  },
  {
    rule: 'replayFrom lies at or before the first event of every window held',
    file: AGGREGATE,
    find: 'if (window.firstOffset >= replayFrom) continue',
    replace: 'if (window.dirty || !window.dirty) continue',
    seeds: 500,
    expects: ['partial-true'],
  },
  {
    rule: 'A rebuild that arrives at another clock than the committed one is refused',
    file: AGGREGATE,
    find: 'if (this.#clock !== this.#committedClock) {',
    replace: 'if (this.#clock < 0) {',
    seeds: 4000,
    expects: ['refusal'],
  },
  {
    rule: 'Where the records to rebuild from are gone, a sub-chunk begins at the committed offset',
    file: START,
    find: 'return beginAt(last.offset, last.clock, last.totals, last.gaps, null)',
    replace:
      'return { ...beginAt(last.offset, last.clock, last.totals, last.gaps, null), from: last.from, clockAtFrom: last.clockAtFrom }',
    seeds: 2000,
    expects: ['partial-true', 'replay-bounded', 'commit-truth'],
  },
  {
    rule: 'Records lost before they were counted are a gap',
    file: START,
    find: 'addGap(last.gaps, gap), gap)',
    replace: 'gap.to < 0 ? addGap(last.gaps, gap) : last.gaps, null)',
    seeds: 2000,
    expects: ['stream-totals', 'commit-truth', 'progress-truth', 'coverage'],
  },
  {
    rule: 'A sub-chunk and its gap are committed and told before its first partial',
    file: AGGREGATE,
    find: 'if (start.commitFirst) this.#first =',
    replace: 'if (start.commitFirst && start.position < 0) this.#first =',
    seeds: 4000,
    expects: ['coverage', 'partial-true', 'no-two-truths'],
  },
  {
    rule: 'A gap is told before the first partial behind it',
    file: AGGREGATE,
    find: 'return { stages: [told], commit',
    replace: 'return { stages: told.length < 0 ? [told] : [], commit',
    seeds: 4000,
    expects: ['coverage', 'loss-admitted'],
  },
  {
    rule: 'Results told before a gap was known are told again',
    file: REDUCE,
    find: 'if (progress.gaps.length > 0) this.#admitGaps(',
    replace: 'if (progress.gaps.length < 0) this.#admitGaps(',
    seeds: 4000,
    expects: ['loss-admitted'],
  },
]

const TELLING: readonly Mutation[] = [
  {
    rule: 'Progress is told after the partials that it covers',
    file: AGGREGATE,
    find: 'stages: [partials, progress],',
    replace: 'stages: [progress, partials],',
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
    find: '    return {\n      stages: [partials, progress],\n      commit: this.#commit(),',
    replace:
      '    const later = () => this.#commit()\n    return {\n      stages: [partials, progress],\n      get commit() {\n        return later()\n      },',
    seeds: 1000,
    expects: ['commit-truth'],
  },
  {
    rule: 'After a failed step or an unknown outcome the state is thrown away',
    file: RUNNER,
    find: '      await this.#deliverCapture(task, capture)\n    } catch (error) {\n      if (this.#task === task) await this.#startOver(error)',
    replace:
      '      await this.#deliverCapture(task, capture)\n    } catch (error) {\n      this.#options.on.failed?.(error)',
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
    expects: ['commit-goes-on', 'monotone-final', 'revision-grows', 'dead-letters-true', 'corrected-is-news'],
  },
  {
    rule: 'State is kept over a rebalance only when the commit is still ours',
    file: RUNNER,
    find: "if (!sameCommit(commit, this.#lastCommit)) throw new TidemarkError('unassigned', 'another owner has committed')",
    replace: '',
    seeds: 4000,
    expects: ['commit-goes-on', 'monotone-final', 'revision-grows', 'dead-letters-true', 'corrected-is-news'],
  },
  {
    rule: 'Nothing is told while an owner that had its partition before compares the commits',
    file: RUNNER,
    find: 'if (this.#resuming > 0 || ',
    replace: 'if (',
    seeds: 8000,
    expects: ['commit-goes-on', 'monotone-final', 'revision-grows', 'dead-letters-true', 'corrected-is-news'],
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
    expects: ['stream-totals', 'commit-truth', 'partial-true', 'coverage', 'no-invariant'],
  },
]

const FINALITY: readonly Mutation[] = [
  {
    rule: "Silence counts no further than the broker's clock",
    file: REDUCE,
    find: 'Math.max(clock, Math.min(idleAsOf, source.appendedAt))',
    replace: 'Math.max(clock, idleAsOf)',
    seeds: 3000,
    expects: ['final-justified'],
  },
  {
    rule: 'A partition that has processed records since the last look is not idle',
    file: IDLE,
    find: 'if (this.#since === null || position !== this.#position) return null',
    replace: 'if (this.#since === null) return null',
    seeds: 1000,
    expects: ['idle-true'],
  },
  {
    rule: 'A partition is idle only after IDLE_TIMEOUT',
    file: IDLE,
    find: 'this.#asOf - this.#since >= timeoutMs ? this.#asOf : null',
    replace: 'this.#asOf - this.#since >= -timeoutMs ? this.#asOf : null',
    seeds: 500,
    expects: ['idle-true'],
  },
  {
    rule: "A partition is idle only at the log's end",
    file: IDLE,
    find: 'if (position !== log.end) {',
    replace: 'if (position < 0) {',
    seeds: 1000,
    expects: ['idle-true'],
  },
  {
    rule: 'A reducer expects the greatest number of sources that any has told of',
    file: REDUCE,
    find: 'this.#expected = Math.max(this.#expected, progress.of)',
    replace: 'this.#expected = progress.of',
    seeds: 4000,
    expects: ['final-justified'],
  },
  {
    rule: 'The number of sources that a reducer waits for survives a restart',
    file: REDUCE,
    find: 'this.#expected = start.sourcePartitions',
    replace: 'this.#expected = 0',
    seeds: 8000,
    expects: ['final-justified'],
  },
  {
    rule: 'A source that has told nothing keeps every window open',
    file: REDUCE,
    find: 'if (source === undefined) return Number.NEGATIVE_INFINITY',
    replace: 'if (source === undefined) continue',
    seeds: 1000,
    expects: ['final-justified'],
  },
  {
    rule: 'Of two progress records the one that reaches further counts',
    file: REDUCE,
    find: 'if (progress.through < through || (progress.through === through && position < known.position)) return',
    replace: 'if (position < known.position) return',
    seeds: 6000,
    expects: ['final-justified', 'dead-letters-true'],
  },
  {
    rule: 'A window turns final only when all sources have passed its end and the lateness',
    file: REDUCE,
    find: 'const closed = closedThrough(clock, windowSizeMs, allowedLatenessMs)',
    replace: 'const closed = closedThrough(clock, windowSizeMs, 0)',
    seeds: 500,
    expects: ['final-justified'],
  },
  {
    rule: 'A window that turns final is told, also without a new event',
    file: REDUCE,
    find: 'if (window.dirty || turnsFinal) outputs',
    replace: 'if (window.dirty) outputs',
    seeds: 300,
    expects: ['final-comes-and-stays'],
  },
  {
    rule: 'finalThrough never decreases',
    file: REDUCE,
    find: 'if (limit > this.#finalThrough) this.#finalThrough = limit',
    replace: 'this.#finalThrough = limit',
    seeds: 500,
    expects: ['monotone-final', 'final-justified'],
  },
  {
    rule: 'finalThrough is kept in the commit',
    file: REDUCE,
    find: 'this.#finalThrough = start.finalThrough',
    replace: 'this.#finalThrough = -1',
    seeds: 1000,
    expects: ['monotone-final', 'revision-grows'],
  },
  {
    rule: 'droppedThrough is kept in the commit',
    file: REDUCE,
    find: 'this.#droppedThrough = start.droppedThrough',
    replace: 'this.#droppedThrough = -1',
    seeds: 1000,
    expects: ['monotone-final', 'revision-grows', 'corrected-is-news'],
  },
  {
    rule: 'Windows are kept for CORRECTION_HORIZON beyond final',
    file: REDUCE,
    find: 'closedThrough(this.#leastClock(), windowSizeMs, allowedLatenessMs + correctionHorizonMs)',
    replace: 'closedThrough(this.#leastClock(), windowSizeMs, allowedLatenessMs)',
    seeds: 500,
    expects: ['final-justified'],
  },
]

const REDUCING: readonly Mutation[] = [
  {
    rule: 'A forgotten window takes no more partials',
    file: REDUCE,
    find: 'if (partial.w <= this.#droppedThrough) {',
    replace: 'if (partial.w < 0) {',
    seeds: 2000,
    expects: ['revision-grows', 'corrected-is-news', 'coverage', 'no-two-truths', 'totals'],
  },
  {
    rule: 'What progress has covered is a repeat and no loss',
    file: REDUCE,
    find: 'if (partial.last <= told) return',
    replace: 'if (partial.last < 0) return',
    seeds: 2000,
    expects: ['dead-letters-true'],
  },
  {
    rule: 'A partial that comes too late is reported',
    file: REDUCE,
    find: 'if (partial.last <= told) return',
    replace: 'if (partial.last <= told || told >= 0) return',
    seeds: 2000,
    expects: ['totals'],
  },
  {
    rule: 'A partial below the committed position was judged already',
    file: REDUCE,
    find: 'if (position >= this.#committed) this.#tooLate(',
    replace: 'this.#tooLate(',
    seeds: 4000,
    expects: ['dead-letters-true'],
  },
  {
    rule: 'A final window becomes dirty only by what lies at or past the committed position',
    file: REDUCE,
    find: 'else if (position >= this.#committed) {',
    replace: 'else {',
    seeds: 1000,
    expects: ['corrected-is-news'],
  },
  {
    rule: 'A partial for a final window corrects it',
    file: REDUCE,
    find: '      window.dirty = true\n      window.corrected = true',
    replace: '      window.corrected = true',
    seeds: 4000,
    expects: ['totals', 'coverage', 'loss-admitted'],
  },
  {
    rule: 'replayFrom lies at or before the first partial of every window held',
    file: REDUCE,
    find: 'for (const window of this.#windows.values()) replayFrom = Math.min(replayFrom, window.firstPosition)\n',
    replace: '',
    seeds: 1000,
    expects: ['revision-grows', 'coverage', 'totals', 'final-comes-and-stays'],
  },
  {
    rule: 'replayFrom lies at or before the latest progress of every source',
    file: REDUCE,
    find: 'for (const source of this.#sources.values()) replayFrom = Math.min(replayFrom, source.position)\n',
    replace: '',
    seeds: 8000,
    expects: ['dead-letters-true', 'coverage', 'final-comes-and-stays', 'final-justified', 'loss-admitted'],
  },
  {
    rule: 'replayFrom lies at or before the first parked partial',
    file: REDUCE,
    find: 'let replayFrom = Math.min(this.#position, this.#parking?.position ?? this.#position)',
    replace: 'let replayFrom = this.#position',
    seeds: 6000,
    expects: ['totals', 'coverage', 'final-comes-and-stays', 'revision-grows'],
  },
  {
    rule: 'A parked window keeps finalThrough below it',
    file: REDUCE,
    find: 'const limit = this.#parking === null ? closed : Math.min(closed, this.#parking.fromWindow - 1)',
    replace: 'const limit = closed',
    seeds: 4000,
    expects: ['totals', 'coverage', 'final-comes-and-stays', 'revision-grows', 'final-is-whole'],
  },
  {
    rule: 'Parked windows are read again',
    file: REDUCE,
    find: '    this.#unparkIfRoom()\n',
    replace: '',
    seeds: 2000,
    expects: ['totals', 'final-comes-and-stays', 'comes-to-rest'],
  },
  {
    rule: 'A reducer holds at most MAX_WINDOWS',
    file: REDUCE,
    find: 'if (this.#windows.size >= this.#settings.maxWindows) {',
    replace: 'if (this.#windows.size > 1e6) {',
    seeds: 1000,
    expects: ['parking-bounded'],
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
    seeds: 4000,
    expects: ['refusal'],
  },
  {
    rule: 'An aggregator refuses another number of partials partitions',
    file: START,
    find: 'if (commit.partialsPartitions !== settings.partialsPartitions) {',
    replace: 'if (commit.offset < 0) {',
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
  ...REPLAY,
  ...TELLING,
  ...FINALITY,
  ...REDUCING,
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
