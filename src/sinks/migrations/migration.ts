/**
 * One step of the schema. What has been released is never changed, since databases hold its effect: a change is a new
 * migration. All names are qualified by the schema `tidemark`.
 */
export type Migration = {
  /** 1, 2, 3, ... without a gap. */
  readonly version: number
  readonly name: string
  /** Statements without parameters, run in one transaction with all other migrations that are due. */
  readonly sql: string
}
