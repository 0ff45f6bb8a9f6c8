import type { Admin, Kafka } from 'kafkajs'
import type { Settings } from '../config/settings.ts'
import { TidemarkError } from '../errors.ts'
import { createTopicReader } from './admin.ts'
import { groupName, STAGES, topicName } from './names.ts'
import { withAdmin } from './topics.ts'

/** What belongs to one generation alone. */
export type GenerationParts = {
  readonly topics: readonly { readonly name: string; readonly partitions: number; readonly records: number }[]
  readonly groups: readonly { readonly id: string; readonly members: number }[]
}

/** The topics of longer windows are found by their names: ROLLUPS may have been another when they were made. */
const LEVEL = '(?:-[0-9]+[smhd](?:-[0-9]+[smhd])?)?'

/** The internal and result topics of a generation, and its groups, as far as the brokers know them. */
export async function findGeneration(kafka: Kafka, settings: Settings, generation: number): Promise<GenerationParts> {
  const reader = createTopicReader(kafka)
  try {
    return await withAdmin(kafka, async admin => {
      const isOurs = topicTest({ ...settings, generation })
      const names = (await admin.listTopics()).filter(isOurs).sort()
      const topics = names.map(async name => {
        const ranges = await reader.readLogRanges(name)
        return {
          name,
          partitions: ranges.length,
          records: ranges.reduce((sum, { start, end }) => sum + end - start, 0),
        }
      })
      return { topics: await Promise.all(topics), groups: await findGroups(admin, { ...settings, generation }) }
    })
  } finally {
    await reader.close()
  }
}

/**
 * Deletes the topics and groups of a generation.
 * @throws TidemarkError `refused_topic` while a group still has members: roles of the generation are running
 */
export async function removeGeneration(kafka: Kafka, { topics, groups }: GenerationParts): Promise<void> {
  const busy = groups.filter(({ members }) => members > 0)
  if (busy.length > 0) {
    const who = busy.map(({ id, members }) => `${id} has ${members} members`).join(', ')
    throw new TidemarkError('refused_topic', `roles of this generation are still running (${who}): stop them first`)
  }
  await withAdmin(kafka, async admin => {
    // Groups first: one whose topics are gone would begin them anew.
    if (groups.length > 0) await admin.deleteGroups(groups.map(({ id }) => id))
    if (topics.length > 0) await admin.deleteTopics({ topics: topics.map(({ name }) => name) })
  })
}

function topicTest(settings: Settings): (name: string) => boolean {
  const suffix = settings.generation > 1 ? `-g${settings.generation}` : ''
  const partials = new RegExp(`^${settings.topics.partials.replaceAll('.', '\\.')}${LEVEL}${suffix}$`)
  const results = new Set([topicName(settings, 'results'), topicName(settings, 'deviceStats')])
  return name => results.has(name) || partials.test(name)
}

async function findGroups(admin: Admin, settings: Settings): Promise<GenerationParts['groups']> {
  const wanted = new Set(STAGES.map(stage => groupName(settings, stage)))
  const known = (await admin.listGroups()).groups.map(({ groupId }) => groupId).filter(id => wanted.has(id))
  if (known.length === 0) return []
  const { groups } = await admin.describeGroups(known)
  return groups.map(({ groupId, members }) => ({ id: groupId, members: members.length }))
}
