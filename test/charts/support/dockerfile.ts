/** One instruction with its continuation lines joined; `line` counts from 1 and is where it begins. */
export type Instruction = { readonly line: number; readonly name: string; readonly text: string }

/** From one FROM to the next. `arguments` before the first FROM belong to no stage. */
export type Stage = {
  readonly from: string
  readonly name: string | null
  readonly instructions: readonly Instruction[]
}

/** What is wrong, with the line where it is. */
export type Complaint = string

const APT_LISTS = 'rm -rf /var/lib/apt/lists'
const SECRET_NAME = /password|secret|token|api_?key/i

/** The instructions of a Dockerfile, without comments and empty lines. */
export function instructionsOf(text: string): Instruction[] {
  const instructions: Instruction[] = []
  let open: { line: number; parts: string[] } | null = null
  for (const [index, raw] of text.split('\n').entries()) {
    // A comment between continued lines belongs to none of them.
    if (/^\s*#/.test(raw) || (raw.trim() === '' && open === null)) continue
    open ??= { line: index + 1, parts: [] }
    const isContinued = /\\\s*$/.test(raw)
    open.parts.push(raw.replace(/\\\s*$/, '').trim())
    if (isContinued) continue
    const [name = '', ...rest] = open.parts.join(' ').trim().split(/\s+/)
    instructions.push({ line: open.line, name: name.toUpperCase(), text: rest.join(' ') })
    open = null
  }
  return instructions
}

/** The stages of a Dockerfile in their order. */
export function stagesOf(instructions: readonly Instruction[]): Stage[] {
  const starts = instructions.flatMap(({ name }, index) => (name === 'FROM' ? [index] : []))
  return starts.map((start, index) => {
    const [from = '', , name = null] = (instructions[start]?.text ?? '').split(/\s+/)
    return { from, name, instructions: instructions.slice(start + 1, starts[index + 1]) }
  })
}

/** Breaches of the rules that matter for an image that runs in a cluster; empty when there are none. */
export function lintDockerfile(text: string): Complaint[] {
  const instructions = instructionsOf(text)
  const stages = stagesOf(instructions)
  const last = stages.at(-1)
  if (last === undefined) return ['no FROM: nothing is built']
  return [
    ...baseComplaints(instructions, stages),
    ...instructions.flatMap(instruction => instructionComplaints(instruction)),
    ...stages.flatMap((stage, index) => copyComplaints(stage, stages.slice(0, index))),
    ...runtimeComplaints(last),
  ]
}

/** Every base is another stage, or an image by a tag or digest, given or as the default of an ARG. */
function baseComplaints(instructions: readonly Instruction[], stages: readonly Stage[]): Complaint[] {
  const defaults = new Map<string, string>()
  for (const { name, text } of instructions) {
    const [key = '', value] = text.split('=')
    if (name === 'ARG' && value !== undefined) defaults.set(key, value)
  }
  return stages.flatMap(({ from }, index) => {
    if (stages.slice(0, index).some(({ name }) => name === from)) return []
    const image = from.replace(/\$\{?(\w+)\}?/g, (_all, key: string) => defaults.get(key) ?? '')
    const [, tag] = /(?::([\w.-]+)|@sha256:[0-9a-f]{64})$/.exec(image) ?? []
    const isPinned = image.includes('@sha256:') || (tag !== undefined && tag !== 'latest')
    return isPinned ? [] : [`FROM ${from}: name a tag other than latest, or a digest`]
  })
}

function instructionComplaints({ line, name, text }: Instruction): Complaint[] {
  const complaints: Complaint[] = []
  const complain = (what: string) => complaints.push(`line ${line}: ${name} ${what}`)
  if (name === 'ADD') complain('fetches and unpacks by itself: use COPY')
  if (name === 'MAINTAINER') complain('is out of use: a LABEL tells it')
  if (name === 'WORKDIR' && !text.startsWith('/')) complain('must be absolute')
  if (['ENTRYPOINT', 'CMD'].includes(name) && !isList(text)) complain('by a shell takes no signals: write a JSON list')
  if (['ENV', 'ARG'].includes(name) && SECRET_NAME.test(text)) complain('stays in the image: mount a secret instead')
  if (name === 'RUN') complaints.push(...runComplaints(line, text))
  return complaints
}

function runComplaints(line: number, text: string): Complaint[] {
  const complaints: Complaint[] = []
  const complain = (what: string) => complaints.push(`line ${line}: RUN ${what}`)
  if (/\bapt-get install\b/.test(text)) {
    if (!text.includes('--no-install-recommends')) complain('apt-get install without --no-install-recommends')
    if (!/\bapt-get update\b/.test(text))
      complain('apt-get install from the lists of an older layer: update in the same RUN')
    if (!/\binstall\s+(\S+\s+)*?(-y|--yes)\b/.test(text)) complain('apt-get install without -y waits for an answer')
  }
  if (/\bapt-get (dist-)?upgrade\b/.test(text))
    complain('apt-get upgrade gives another image each day: take a newer base')
  if (/\bnpm (install|i)\b/.test(text)) complain('npm install may change what the lock says: npm ci')
  if (/\bsudo\b/.test(text)) complain('sudo: a build is root already')
  if (/\b(curl|wget)\b.*\|\s*(ba)?sh\b/.test(text)) complain('runs what it has just fetched')
  return complaints
}

/** What is copied from another stage must come from one that is built before. */
function copyComplaints(stage: Stage, earlier: readonly Stage[]): Complaint[] {
  return stage.instructions.flatMap(({ line, name, text }) => {
    const from = name === 'COPY' ? /--from=(\S+)/.exec(text)?.[1] : undefined
    const isKnown = from === undefined || earlier.some(({ name: known }) => known === from)
    return isKnown ? [] : [`line ${line}: COPY --from=${from}: there is no such stage before`]
  })
}

/** What only the image that runs must have. */
function runtimeComplaints(stage: Stage): Complaint[] {
  const complaints: Complaint[] = []
  const last = (name: string) => stage.instructions.findLast(instruction => instruction.name === name)
  const user = last('USER')?.text
  if (user === undefined) complaints.push('the image runs as root: end with a numeric USER')
  else if (!/^[1-9]\d*(:[1-9]\d*)?$/.test(user)) {
    complaints.push(`USER ${user}: a cluster can only tell by a number above 0 that it is not root`)
  }
  if (last('ENTRYPOINT') === undefined)
    complaints.push('no ENTRYPOINT: the arguments of a container would replace the program')
  for (const { line, name, text } of stage.instructions) {
    if (name === 'RUN' && /\bapt-get install\b/.test(text) && !text.includes(APT_LISTS)) {
      complaints.push(`line ${line}: the lists of apt-get stay in the image: ${APT_LISTS}/*`)
    }
  }
  return complaints
}

function isList(text: string): boolean {
  try {
    return Array.isArray(JSON.parse(text))
  } catch {
    return false
  }
}
