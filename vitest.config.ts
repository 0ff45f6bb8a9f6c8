import { defineConfig } from 'vitest/config'

/** What goes wrong for real until each alert has fired, and a chaos run scraped, take nine minutes: a campaign of its own. */
const ALERT_CAMPAIGN = ['test/observability/{alerts,chaos}.test.ts', 'test/observability/faults/*.test.ts']

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 10_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          // Each file uses all cores by itself.
          fileParallelism: false,
          testTimeout: 300_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'charts',
          include: ['test/charts/**/*.test.ts'],
          globalSetup: ['test/support/kubernetes/setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'kubernetes',
          include: ['test/kubernetes/**/*.test.ts'],
          globalSetup: ['test/support/kubernetes/setup.ts'],
          // One API server after the other.
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 3 },
        },
      },
      {
        test: {
          name: 'kafka',
          include: ['test/kafka/*.test.ts'],
          // They wait more than they work, each with a broker of its own.
          maxWorkers: 2,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 4 },
        },
      },
      {
        test: {
          name: 'scenarios',
          include: ['test/kafka/scenarios/**/*.test.ts'],
          // A dozen processes share the machine: two files at once would only slow each other down.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 5 },
        },
      },
      {
        test: {
          name: 'observability',
          include: ['test/observability/**/*.test.ts'],
          exclude: ALERT_CAMPAIGN,
          // Of those that start Tidemark there is one at a time.
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 6 },
        },
      },
      {
        test: {
          name: 'alerts',
          include: ALERT_CAMPAIGN,
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 7 },
        },
      },
    ],
  },
})
