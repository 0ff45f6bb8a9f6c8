/** A row by its columns' names. */
export type Row = Readonly<Record<string, unknown>>

/** Statements within one transaction. What the database refuses is thrown as its driver throws it. */
export type Sql = {
  /** One statement with parameters $1, $2, ... */
  query(statement: string, parameters?: readonly unknown[]): Promise<readonly Row[]>
  /** Several statements without parameters. */
  script(statements: string): Promise<void>
}

/** How the results reach a database: real PostgreSQL, or the one inside this process. */
export type Database = {
  /** For people: `host:port/name`, never a password. */
  readonly where: string
  /**
   * Runs `work` in one transaction and commits. When anything in it throws, nothing of it is kept; when the commit itself
   * throws, it may have been made or not.
   */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>
  /** Ends all connections; what is under way on them fails. */
  close(): Promise<void>
}
