import { simulate } from './simulate.ts'
const [from, n] = process.argv.slice(2).map(Number)
const t0 = performance.now()
const fails: Record<string, number[]> = {}
const total: Record<string, number> = {}
for (let s = from!; s < from! + n!; s++) {
  const o = await simulate(s, n === 1 ? console.log : null)
  if (o.failure) { (fails[o.failure.check] ??= []).push(s); if (n! > 1 && fails[o.failure.check]!.length <= 3) console.log(s, o.failure.check, o.failure.message) }
  for (const [k, v] of Object.entries(o.counts)) total[k] = (total[k] ?? 0) + v
}
console.log((performance.now() - t0) / n!, 'ms/seed', Object.fromEntries(Object.entries(fails).map(([k, v]) => [k, v.length + ': ' + v.slice(0, 8)])))
if (n! > 1) console.log(total)
