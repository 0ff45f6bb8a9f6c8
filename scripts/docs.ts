import { rewriteChartFiles } from './chart.ts'
import { rewriteStale } from './generated.ts'
import { ensureTool } from './tools.ts'

/** `npm run docs`: rewrites the generated sections of the documents, and what is generated of the chart and from it. */
const documents = rewriteStale(process.cwd())
await ensureTool('helm')
const changed = [...documents, ...rewriteChartFiles(process.cwd())]
console.log(changed.length > 0 ? `rewrote ${changed.join(', ')}` : 'what is generated was up to date')
