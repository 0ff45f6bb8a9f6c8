import type { Kafka } from 'kafkajs'
import { kafkajs } from './patches.ts'
import { decodeHost } from './stickyAssigner.ts'
import { withAdmin } from './topics.ts'

/** One process in a consumer group, as the coordinator tells it. */
export type GroupMember = {
  readonly memberId: string
  readonly clientId: string
  /** The address that the broker sees it at, without the slash before it. */
  readonly address: string
  /** The host name that it has told of itself (a pod's is its name); null when it tells none. */
  readonly host: string | null
  /** Partition numbers by topic. */
  readonly partitions: Readonly<Record<string, readonly number[]>>
}

/** A group without members, or unknown to the brokers, has state Empty or Dead. */
export type GroupDescription = {
  readonly groupId: string
  readonly state: string
  readonly members: readonly GroupMember[]
}

/**
 * Who is in these groups and reads what, in the order asked for.
 * @throws TidemarkError `delivery_failed` when the brokers do not tell
 */
export async function describeMembers(kafka: Kafka, groupIds: readonly string[]): Promise<GroupDescription[]> {
  const { groups } = await withAdmin(kafka, admin => admin.describeGroups([...groupIds]))
  return groupIds.map(groupId => {
    const group = groups.find(each => each.groupId === groupId)
    const members = (group?.members ?? []).map(member => ({
      memberId: member.memberId,
      clientId: member.clientId,
      address: member.clientHost.replace(/^\//, ''),
      host: decodeHost(userDataOf(member.memberMetadata)),
      partitions: partitionsOf(member.memberAssignment),
    }))
    return { groupId, state: group?.state ?? 'Dead', members }
  })
}

/** While a group rebalances its members have no assignment, and other clients may have bytes of their own. */
function partitionsOf(assignment: Buffer): Record<string, number[]> {
  try {
    const decoded = assignment.length === 0 ? null : kafkajs.AssignerProtocol.MemberAssignment.decode(assignment)
    return decoded?.assignment ?? {}
  } catch {
    return {}
  }
}

function userDataOf(metadata: Buffer): Buffer | null {
  try {
    return metadata.length === 0 ? null : (kafkajs.AssignerProtocol.MemberMetadata.decode(metadata)?.userData ?? null)
  } catch {
    return null
  }
}
