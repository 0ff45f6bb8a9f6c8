import { hostname } from 'node:os'
import type { PartitionAssigner } from 'kafkajs'
import type { Lanes } from './lanes.ts'
import { type GroupHooks, HOOKS, kafkajs } from './patches.ts'

/** What a member says that it owns, and since which generation of the group. */
export type Claim = { readonly generation: number; readonly partitions: readonly number[] }

export type ClaimingMember = { readonly memberId: string; readonly owned: Claim }

const byNumber = (a: number, b: number) => a - b
const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/**
 * Gives every partition to exactly one member: counts differ by at most 1, and a member keeps what it owns as far as
 * that allows, because a partition that moves has to be rebuilt. Of two claims to a partition the greater generation
 * wins (the other is that of a member which was away), then the smaller member id. Depends on its input alone.
 */
export function assign(members: readonly ClaimingMember[], partitions: readonly number[]): Map<string, number[]> {
  const kept = settleClaims(members, partitions)
  // Those who hold most get the larger shares, so that with unchanged members nothing moves.
  const order = [...kept.keys()].sort((a, b) => sizeOf(kept, b) - sizeOf(kept, a) || byText(a, b))
  const share = Math.floor(partitions.length / Math.max(order.length, 1))
  const larger = partitions.length - share * order.length
  const taken = new Set<number>()
  const shares = order.map((memberId, index) => {
    const size = share + (index < larger ? 1 : 0)
    const own = (kept.get(memberId) ?? []).slice(0, size)
    for (const partition of own) taken.add(partition)
    return { memberId, size, own }
  })
  const free = [...partitions].sort(byNumber).filter(partition => !taken.has(partition))
  const assigned = new Map<string, number[]>()
  for (const { memberId, size, own } of shares) {
    assigned.set(memberId, [...own, ...free.splice(0, size - own.length)].sort(byNumber))
  }
  return assigned
}

const sizeOf = (kept: Map<string, number[]>, memberId: string) => kept.get(memberId)?.length ?? 0

function settleClaims(members: readonly ClaimingMember[], partitions: readonly number[]): Map<string, number[]> {
  const existing = new Set(partitions)
  const winners = new Map<number, ClaimingMember>()
  for (const member of [...members].sort((a, b) => byText(a.memberId, b.memberId))) {
    for (const partition of member.owned.partitions) {
      const other = winners.get(partition)
      const wins = other === undefined || member.owned.generation > other.owned.generation
      if (existing.has(partition) && wins) winners.set(partition, member)
    }
  }
  const kept = new Map<string, number[]>(members.map(member => [member.memberId, []]))
  for (const partition of [...winners.keys()].sort(byNumber)) {
    kept.get(winners.get(partition)?.memberId ?? '')?.push(partition)
  }
  return kept
}

const NO_CLAIM: Claim = { generation: -1, partitions: [] }

/** @returns the claim in a member's user data; none when the bytes are not ours */
export function decodeClaim(userData: Buffer | null | undefined): Claim {
  try {
    const { generation, partitions } = JSON.parse(String(userData)) as { generation?: unknown; partitions?: unknown }
    if (!Number.isInteger(generation) || !Array.isArray(partitions)) return NO_CLAIM
    return { generation: generation as number, partitions: partitions.filter(p => Number.isInteger(p)) }
  } catch {
    return NO_CLAIM
  }
}

/** A claim, with the host's name beside it: it tells operators where a member runs, and decides nothing. */
function encodeClaim(claim: Claim): Buffer {
  return Buffer.from(JSON.stringify({ ...claim, host: hostname() }))
}

/** @returns the host that a member's user data tells; null when they tell none, or are not ours */
export function decodeHost(userData: Buffer | null): string | null {
  try {
    const { host } = JSON.parse(String(userData)) as { host?: unknown }
    return typeof host === 'string' && host !== '' ? host : null
  } catch {
    return null
  }
}

export type StickyAssigner = {
  /** For kafkajs's `partitionAssigners`. */
  readonly create: PartitionAssigner
  /** Records what this member owns, to be claimed at its next join. */
  own(claim: Claim): void
}

/** The assigner of a group, as kafkajs wants it; it deals with lanes. The hooks ride on it (see patches.ts). */
export function createStickyAssigner(lanes: Lanes, hooks: GroupHooks): StickyAssigner {
  const { MemberMetadata, MemberAssignment } = kafkajs.AssignerProtocol
  const name = 'tidemark-sticky'
  const version = 1
  let owned = NO_CLAIM
  const create: PartitionAssigner = ({ cluster }) => {
    const knownLanes = () =>
      lanes.topics.flatMap(topic => {
        const found = cluster.findTopicPartitionMetadata(topic)
        return found.map(({ partitionId }) => lanes.laneOf(topic, partitionId)).filter(lane => lane !== null)
      })
    const assigner = {
      name,
      version,
      protocol: ({ topics }: { topics: string[] }) => ({
        name,
        metadata: MemberMetadata.encode({ version, topics, userData: encodeClaim(owned) }),
      }),
      assign: async ({ members }: { members: { memberId: string; memberMetadata: Buffer }[] }) => {
        const claims = members.map(({ memberId, memberMetadata }) => ({
          memberId,
          owned: decodeClaim(MemberMetadata.decode(memberMetadata)?.userData),
        }))
        return [...assign(claims, knownLanes())].map(([memberId, assigned]) => ({
          memberId,
          memberAssignment: MemberAssignment.encode({
            version,
            assignment: byTopic(lanes, assigned),
            userData: Buffer.alloc(0),
          }),
        }))
      },
      [HOOKS]: hooks,
    }
    return assigner
  }
  return {
    create,
    own: claim => {
      owned = claim
    },
  }
}

function byTopic(lanes: Lanes, assigned: readonly number[]): Record<string, number[]> {
  const partitions: Record<string, number[]> = {}
  for (const lane of assigned) {
    const { topic, partition } = lanes.placeOf(lane)
    partitions[topic] = [...(partitions[topic] ?? []), partition]
  }
  return partitions
}
