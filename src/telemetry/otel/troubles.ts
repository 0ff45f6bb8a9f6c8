import { DiagLogLevel, diag } from '@opentelemetry/api'

/** What the SDK has to complain of from now on, such as an exporter that reaches nobody, is told here. */
export function tellTroubles(tell: (message: string) => void): void {
  const heard = (message: string) => tell(readable(message))
  const quiet = () => {}
  const logger = { error: heard, warn: heard, info: quiet, debug: quiet, verbose: quiet }
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
}

/** An error comes as JSON with its stack, which leads into the SDK: what it says is enough. */
function readable(message: string): string {
  try {
    const { message: said, code } = JSON.parse(message) as { readonly message?: unknown; readonly code?: unknown }
    if (typeof said !== 'string') return message
    return said === '' ? String(code) : said
  } catch {
    return message
  }
}
