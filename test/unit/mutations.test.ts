import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mutations } from '../simulation/mutations.ts'

const ROOT = join(import.meta.dirname, '..', '..')

// Told here within seconds; the simulation, which switches each rule off, would come to it after minutes.
test.each(mutations.map(({ rule, file, find }) => [rule, file, find] as const))(
  '%s: its text is there once',
  (_, file, find) => {
    expect(readFileSync(join(ROOT, file), 'utf8').split(find).length - 1).toBe(1)
  },
)
