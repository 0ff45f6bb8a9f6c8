import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../../src/sinks/database.ts'
import { openPglite } from '../../../src/sinks/pglite.ts'
import { databaseContract } from './contract.ts'

let folder: string
let database: Database

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-pglite-'))
  database = await openPglite(folder)
}, 60_000)
afterAll(async () => {
  await database?.close()
  rmSync(folder, { recursive: true, force: true })
}, 60_000)

describe('PGlite', () => databaseContract(() => database))

it('is used by one process at a time', async () => {
  await expect(openPglite(folder)).rejects.toMatchObject({
    code: 'refused_database',
    message: expect.stringContaining(`process ${process.pid}`),
  })
})

it('in a folder that cannot be made is a bad setting', async () => {
  await expect(openPglite('/dev/null/results')).rejects.toMatchObject({ code: 'bad_setting' })
})
