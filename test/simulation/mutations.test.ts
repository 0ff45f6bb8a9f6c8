import { expect, it } from 'vitest'
import { isProven, type Proof, proveAll } from './mutationRunner.ts'
import { mutations, renderMutationTable } from './mutations.ts'

/** The processes that prove rows at the same time. */
const AT_ONCE = 2

it(`every one of ${mutations.length} safety rules turns a check red when it is switched off`, async () => {
  const proofs = await proveAll(mutations, AT_ONCE)
  for (const proof of proofs) console.log(told(proof))
  expect(
    proofs.filter(proof => !isProven(proof)).map(proof => `${told(proof)}\n${proof.output.slice(-2_000)}`),
  ).toEqual([])
}, 600_000)

it('the table names every rule once', () => {
  const table = renderMutationTable()
  for (const { rule } of mutations) expect(table.split(`| ${rule} |`)).toHaveLength(2)
})

function told({ mutation, check, seed, seconds }: Proof): string {
  return `${check ?? 'NOTHING'} (seed ${seed}, ${seconds.toFixed(1)} s): ${mutation.rule}`
}
