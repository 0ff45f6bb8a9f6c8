import { Agent } from 'node:https'
import type { RequestContext } from '@kubernetes/client-node'
import type { Access } from './access.ts'
import type { Answer, ApiObject, Kind, KubernetesApi } from './api.ts'
import { ask } from './ask.ts'

/** What a role asks for is an object or two. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024

/**
 * A client for one namespace. Of @kubernetes/client-node only what builds requests is loaded, which costs an aggregator
 * 22 MiB of memory and half a second of a core; with all of it that would be 53 MiB and 1.3 s. Node's own https sends
 * what is built.
 */
export async function openClient(access: Access, namespace: string): Promise<KubernetesApi> {
  const [
    { CoreV1ApiRequestFactory },
    { CustomObjectsApiRequestFactory },
    { createConfiguration },
    { ServerConfiguration },
  ] = await Promise.all([
    import('@kubernetes/client-node/dist/gen/apis/CoreV1Api.js'),
    import('@kubernetes/client-node/dist/gen/apis/CustomObjectsApi.js'),
    import('@kubernetes/client-node/dist/gen/configuration.js'),
    import('@kubernetes/client-node/dist/gen/servers.js'),
  ])
  const configuration = createConfiguration({ baseServer: new ServerConfiguration(access.server, {}) })
  const core = new CoreV1ApiRequestFactory(configuration)
  // Any group's objects have the same paths; typed clients for each would load their groups' code.
  const any = new CustomObjectsApiRequestFactory(configuration)
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ca: access.certificateAuthority })
  const answer = async (building: Promise<RequestContext>): Promise<Answer> => {
    try {
      return await send(await building, access, agent)
    } catch (error) {
      return { ok: false, status: 0, reason: error instanceof Error ? error.message : String(error) }
    }
  }
  return {
    get: ({ group, version, plural }, name) =>
      answer(any.getNamespacedCustomObject(group, version, namespace, plural, name)),
    create: ({ group, version, plural }, object) =>
      answer(any.createNamespacedCustomObject(group, version, namespace, plural, object)),
    replace: ({ group, version, plural }, name, object) =>
      answer(any.replaceNamespacedCustomObject(group, version, namespace, plural, name, object)),
    patch: (kind: Kind, name: string, patch: ApiObject) =>
      kind.group === ''
        ? answer(core.patchNamespacedPod(name, namespace, patch))
        : answer(any.patchNamespacedCustomObject(kind.group, kind.version, namespace, kind.plural, name, patch)),
    close: () => agent.destroy(),
  }
}

async function send(context: RequestContext, { token }: Access, agent: Agent): Promise<Answer> {
  const method = context.getHttpMethod()
  const headers: Record<string, string> = { ...context.getHeaders(), authorization: `Bearer ${token()}` }
  // The factory takes the first form that the API lists; ours is the one that tells only what changes.
  if (method === 'PATCH') headers['Content-Type'] = 'application/merge-patch+json'
  const body = context.getBody() as string | undefined
  const { status, text } = await ask(new URL(context.getUrl()), {
    options: { method, headers, agent },
    body,
    maxBytes: MAX_ANSWER_BYTES,
  })
  return answerOf(status, text)
}

/** A refusal comes as a Status object; a proxy in between may answer anything. */
function answerOf(status: number, text: string): Answer {
  const isSuccess = status >= 200 && status < 300
  try {
    const object = JSON.parse(text) as ApiObject
    if (isSuccess) return { ok: true, object }
    const { message } = object
    if (typeof message === 'string' && message !== '') return { ok: false, status, reason: message }
  } catch {
    // No JSON: its beginning is told as it is.
  }
  return { ok: false, status: isSuccess ? 0 : status, reason: `answer ${status}: ${text.slice(0, 200)}` }
}
