import { describe, expect, it } from 'vitest'
import { historyOf } from '../../../src/results/history.ts'
import { insightsOf, percentOf, streamQualityOf } from '../../../src/results/insights.ts'
import { aResult, T0 } from './factory.ts'

describe('the insights of a window', () => {
  const found = insightsOf(aResult('1h'))

  it('say which window they are about', () => {
    expect(found.scope).toMatchObject({
      window: { size: '1h' },
      status: 'final',
      from: '2023-09-12T00:00:00.000Z',
      to: '2023-09-12T01:00:00.000Z',
      exact: true,
      logins: 10,
    })
  })

  it('tell how users engage: how many, how often, in which sessions and when', () => {
    expect(found.user_engagement).toEqual({
      users: { at_least: 4, at_most: 4, exact: true, relative_error: 0 },
      devices: 5,
      logins_per_user: { min: 1, avg: 2.5, max: 4 },
      sessions: { started: 4, active: 1, avg_seconds: 12.5, events_per_session: 2.5 },
      by_hour: [{ name: '0', count: 10, percent: 100 }],
      by_day_part: [{ name: 'night', count: 10, percent: 100 }],
      peak_hour: 0,
    })
  })

  it('rank platforms, with what is not known apart', () => {
    expect(found.platform_analytics).toEqual({
      top: [
        { name: 'android', count: 6, percent: 60 },
        { name: 'ios', count: 3, percent: 30 },
      ],
      distinct: 2,
      most_popular: 'android',
      least_popular: 'ios',
      other: { count: 1, percent: 10 },
    })
  })

  it('tell which versions are adopted, and how far the newest is', () => {
    const result = aResult('1h', T0, { version_category_stats: { '2.9': 6, '2.10': 1, unknown: 3 } })
    expect(insightsOf(result).version_adoption).toMatchObject({
      most_popular: '2.3.0',
      categories: [
        { name: '2.9', count: 6, percent: 60 },
        { name: '2.10', count: 1, percent: 10 },
      ],
      newest_category: { name: '2.10', count: 1, percent: 10 },
    })
  })

  it('tell states with most and fewest logins, and countries', () => {
    expect(found.geographic_distribution).toMatchObject({
      states: [
        { name: 'NY', count: 5, percent: 50 },
        { name: 'WY', count: 2, percent: 20 },
      ],
      most_logins: { name: 'NY', count: 5 },
      fewest_logins: { name: 'WY', count: 2 },
      most_popular: 'NY',
      countries: [{ name: 'US', count: 8, percent: 80 }],
      regions: [],
    })
  })

  it('tell the quality of fields of its logins and of all records', () => {
    expect(found.data_quality).toEqual({
      missing: [{ name: 'device_type', count: 1, percent: 10 }],
      invalid: [{ name: 'ip', count: 2, percent: 20 }],
      stream: {
        ...{ records: 100, accepted: 90, late: 4, rejected: 6 },
        ...{ accepted_percent: 90, late_percent: 4, rejected_percent: 6 },
        rejected_by_code: [{ name: 'not_json', count: 6, percent: 6 }],
      },
    })
  })

  it('list ten values of a dimension at most, and count the others', () => {
    const many = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`v${i}`, 25 - i]))
    const { top, distinct, other } = insightsOf(
      aResult('1h', T0, { batch_size: 400, app_version_stats: { ...many, '(other)': 75 } }),
    ).version_adoption
    expect(top.map(({ name }) => name)).toEqual(['v0', 'v1', 'v2', 'v3', 'v4', 'v5', 'v6', 'v7', 'v8', 'v9'])
    expect([distinct, other]).toEqual([25, { count: 75, percent: 18.75 }])
  })
})

it('the insights of all history: bounds of users, and nothing that cannot be added up', () => {
  const results = [aResult('1d'), aResult('1d', T0 + 86_400_000, { status: 'provisional' })]
  const { scope, user_engagement, platform_analytics } = insightsOf(historyOf(results))
  expect(scope).toMatchObject({ window: null, status: 'provisional', logins: 20 })
  expect(user_engagement).toMatchObject({
    users: { at_least: 4, at_most: 8, exact: false },
    devices: null,
    logins_per_user: null,
    sessions: { started: 8, active: null },
  })
  expect(platform_analytics.top[0]).toEqual({ name: 'android', count: 12, percent: 60 })
})

it('shares of nothing are 0', () => {
  expect(streamQualityOf({ accepted: 0, late: 0, rejected: {} })).toMatchObject({ records: 0, rejected_percent: 0 })
  expect(insightsOf(historyOf([])).user_engagement.peak_hour).toBeNull()
  expect([percentOf(1, 3), percentOf(2, 3), percentOf(0, 0)]).toEqual([33.33, 66.67, 0])
})
