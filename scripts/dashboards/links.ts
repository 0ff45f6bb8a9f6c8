import { DashboardLinkType as Kind, DashboardLinkBuilder as Link } from '@grafana/grafana-foundation-sdk/dashboard'

/** Every dashboard by what it is called here: addresses stay what they are when titles change. */
export const UIDS = {
  overview: 'tidemark-overview',
  partitions: 'tidemark-partitions',
  windows: 'tidemark-windows',
  runtime: 'tidemark-runtime',
} as const

export type DashboardName = keyof typeof UIDS

/** What the dashboards have in common, and find each other by. */
export const TAG = 'tidemark'

/** Above the panels: all dashboards of Tidemark, with the time and the choices that are made. */
export function toAll(): Link {
  return new Link('Tidemark').type(Kind.Dashboards).tags([TAG]).includeVars(true).keepTime(true).asDropdown(false)
}

const CHOSEN = `\${__url_time_range}&\${datasource:queryparam}&\${namespace:queryparam}&\${job:queryparam}`

/**
 * From a panel to where one sees more.
 * @param role whose partitions, where the dashboard asks for it
 */
export function to(name: DashboardName, title: string, role?: string): Link {
  const chosen = role === undefined ? CHOSEN : `${CHOSEN}&var-role=${role}`
  return new Link(title).type(Kind.Link).url(`/d/${UIDS[name]}?${chosen}`)
}

/** From a panel to what to do when its alert fires. */
export function runbook(alert: string): Link {
  return new Link(`Runbook: ${alert}`).type(Kind.Link).url(`\${runbooks:raw}#${alert.toLowerCase()}`).targetBlank(true)
}
