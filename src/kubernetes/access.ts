import { readFileSync } from 'node:fs'

/** How an API server is reached. */
export type Access = {
  /** As `https://10.96.0.1:443`. */
  readonly server: string
  /** The authority that signed the server's certificate, PEM. */
  readonly certificateAuthority: string
  /** The token to show, read for each request: a pod's is replaced within the hour. */
  readonly token: () => string
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
const TOKEN_KEPT_MS = 60_000

/**
 * The access that a pod has by its service account.
 * @throws Error when this is no pod, or one without a service account's token
 */
export function podAccess(
  env: Readonly<Record<string, string | undefined>>,
  folder = SERVICE_ACCOUNT,
  now: () => number = () => performance.now(),
): Access {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  if (host === undefined || host === '')
    throw new Error('this is no pod of a cluster: KUBERNETES_SERVICE_HOST is not set')
  const readToken = () => readFileSync(`${folder}/token`, 'utf8').trim()
  let [token, readAt] = [readToken(), now()]
  return {
    // An IPv6 address stands in brackets in a URL.
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    certificateAuthority: readFileSync(`${folder}/ca.crt`, 'utf8'),
    token: () => {
      if (now() - readAt >= TOKEN_KEPT_MS) [token, readAt] = [readToken(), now()]
      return token
    },
  }
}
