import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { toolOf } from '../../../scripts/tools/catalogue.ts'
import { labEnv, labOf, missingPackages } from '../../cluster/lab.ts'

describe('labOf', () => {
  test('has its home where it is told, else in the cache folder', () => {
    expect(labOf({ TIDEMARK_CLUSTER_HOME: '/x' })).toEqual({ home: '/x', kubeconfig: '/x/pki/admin.conf' })
    expect(labOf({ XDG_CACHE_HOME: '/c' }).home).toBe('/c/tidemark-cluster')
    expect(labOf({}).home).toMatch(/\/\.cache\/tidemark-cluster$/)
  })
})

describe('labEnv', () => {
  test("puts the lab's programs and kubeconfig before the user's own", () => {
    const env = labEnv({ TIDEMARK_CLUSTER_HOME: '/x', PATH: '/usr/bin', KUBECONFIG: '/home/me/config' }, '/tools')
    expect(env).toMatchObject({ KUBECONFIG: '/x/pki/admin.conf', TIDEMARK_CLUSTER_TOOLS: '/tools' })
    expect(env.PATH).toMatch(/^\/tools:\/usr\/bin:/)
  })
})

describe('missingPackages', () => {
  test('names the Debian package of each program that is nowhere', () => {
    expect(missingPackages({ PATH: '/usr/bin' }, () => true)).toEqual([])
    const without = (program: string) => (path: string) => !path.endsWith(program)
    expect(missingPackages({ PATH: '/usr/bin' }, without('/nft'))).toEqual(['nftables'])
    expect(missingPackages({ PATH: '/usr/bin' }, without('/usr/lib/cni/bridge'))).toEqual([
      'containernetworking-plugins',
    ])
  })

  test("looks into the system's folders that a user's PATH may lack", () => {
    expect(
      missingPackages(
        { PATH: '' },
        path => path.startsWith('/usr/sbin/') || path.startsWith('/usr/lib/') || path.startsWith('/bin/'),
      ),
    ).toEqual([])
  })
})

describe('versions', () => {
  const scripts = join(import.meta.dirname, '..', '..', 'cluster')
  const pinned = (tool: 'keda' | 'coredns') => toolOf(tool).version.replace(/^v/, '')

  test("the lab's images and the manifests are of the programs that are built", () => {
    const common = readFileSync(join(scripts, 'lab', 'common.sh'), 'utf8')
    expect(common).toContain(`KEDA_VERSION=${pinned('keda')}\n`)
    expect(common).toContain(`COREDNS_VERSION=${pinned('coredns')}\n`)
    expect(readFileSync(join(scripts, 'keda.ts'), 'utf8')).toContain(`const VERSION = '${pinned('keda')}'\n`)
  })
})
