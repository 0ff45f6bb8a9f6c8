import { keyAt, kindsOf } from '../../audit/windows.ts'
import type { Settings } from '../../config/settings.ts'
import { historyOf, type Tiles, tilesOfHistory } from '../../results/history.ts'
import { type Insights, insightsOf, type Share } from '../../results/insights.ts'
import type { Result } from '../../results/result.ts'

const SHOWN = 4

/** What all windows together tell, as lines for people. */
export function insightsText(settings: Settings, byKey: ReadonlyMap<string, Result>): string[] {
  const kinds = kindsOf({ ...settings, slidingWindows: [] })
  const tiles = kinds.map(({ size, sizeMs }): Tiles => {
    const results = [...byKey.values()].filter(({ window }) => window.size === size)
    const windows = results.map(({ window, status, batch_size: count }) => {
      return [Date.parse(window.start), { status, count }] as const
    })
    return { sizeMs, windows: new Map(windows) }
  })
  const chosen = tilesOfHistory(tiles).flatMap(({ sizeMs, startMs }) => {
    const kind = kinds.find(each => each.sizeMs === sizeMs)
    return (kind && byKey.get(keyAt(kind.size, startMs))) ?? []
  })
  return linesOf(insightsOf(historyOf(chosen)))
}

function linesOf(insights: Insights): string[] {
  const { scope, user_engagement: users, platform_analytics: platforms, version_adoption: versions } = insights
  const { geographic_distribution: places, data_quality: quality } = insights
  const { at_least, at_most } = users.users
  const count = at_least === at_most ? `${at_least}` : `${at_least} to ${at_most}`
  const { stream } = quality
  return [
    `users: ${count} in ${scope.logins} logins, ${users.sessions.events_per_session} logins a session, peak hour ${users.peak_hour}`,
    `platforms: ${listed(platforms.top)}`,
    `versions: ${listed(versions.categories)}; newest ${shareText(versions.newest_category)}`,
    `places: ${listed(places.states)}; most logins ${shareText(places.most_logins)}; countries ${listed(places.countries)}`,
    `quality: ${stream.accepted_percent}% accepted, ${stream.late_percent}% late, ${stream.rejected_percent}% rejected of ${stream.records} records; missing ${listed(quality.missing)}`,
  ]
}

const listed = (shares: readonly Share[]) => shares.slice(0, SHOWN).map(shareText).join(', ') || 'none'
const shareText = (share: Share | null) => (share === null ? 'unknown' : `${share.name} ${share.percent}%`)
