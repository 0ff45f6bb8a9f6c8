import { rewriteStale } from './generated.ts'

/** `npm run docs`: rewrites the generated sections of the documents. */
const changed = rewriteStale(process.cwd())
console.log(changed.length > 0 ? `rewrote ${changed.join(', ')}` : 'the generated sections were up to date')
