import { windows } from './0001-windows.ts'
import { usageViews } from './0002-usage.ts'
import { historyViews } from './0003-history.ts'
import type { Migration } from './migration.ts'

/** Every migration in the order of its version. */
export const MIGRATIONS: readonly Migration[] = [windows, usageViews, historyViews]
