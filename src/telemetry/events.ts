/**
 * Every kind of log line by its event name, with what it means: one name for one kind, so that lines can be counted. The
 * fields of a line are told where it is written.
 */
export const EVENTS = {
  // A role's life.
  starting: 'A role begins, with what it reads.',
  ready: 'All results that there were at the start have been read.',
  draining: 'A signal has come: what is processed is told and committed.',
  drained: 'All of that is done.',
  left_undrained: 'The database did not take all in time; the next owner writes it.',
  ended: 'The role ends for an error; exit_code says what to do.',
  log_level: 'The least severity of lines was changed by a signal.',
  kafka_client: 'What the client of the brokers says of connections and repeated requests.',
  tracing_trouble: 'What OpenTelemetry complains of, such as a collector that does not answer.',
  statistics: 'Rate, lag and what is popular just now.',
  // Partitions.
  assigned: 'The group has given these partitions to this process.',
  restored: 'The state of a partition is built from its commit.',
  live: 'A partition has read again what was committed, and tells what it counts.',
  flushed: 'Outputs and position of a partition are committed.',
  restoring: 'The state of a partition is thrown away, for the reason told, to be built again.',
  corrupt_batch: 'A record batch cannot be read: the partition waits there, or has skipped it.',
  // Records.
  rejected: 'An event was rejected; the dead letter has it.',
  gap: 'The log no longer holds a range of offsets that was not counted: results say so.',
  foreign_record: 'A record of an internal or result topic that is not ours was passed over.',
  partial_too_late: 'A partial came after its window was forgotten; the dead letter has it.',
  parked: 'Windows far ahead are left aside until there is room.',
  rejected_share: 'More events of a partition are rejected than REJECTED_SHARE.',
  rejected_share_ended: 'That share is well below it again.',
  // The database of a sink, and the results that are read to be served.
  schema_applied: 'The tables were made or changed.',
  database_up: 'The database answers again.',
  database_down: 'The database does not do what is asked of it; it is asked again.',
  refused_result: 'The database does not take a result.',
  pruned: 'Windows past their retention were deleted.',
  prune_failed: 'They could not be deleted this time.',
  read_failed: 'A read of the results topic failed and is repeated.',
  request_failed: 'A request was answered with 500 for a fault of ours.',
  // Lookups.
  geo_loaded: 'A database of countries was read.',
  geo_refused: 'It could not be read; the one before it stays.',
  // The cluster.
  kubernetes_off: 'This pod does not know how to reach its cluster, and asks nothing of it.',
  kubernetes_forbidden: 'The cluster refuses for a missing permission.',
  kubernetes_failed: 'The cluster refuses or does not answer.',
  kubernetes_works: 'What had been refused works.',
  kubernetes_fault: 'A fault of ours in what is asked of the cluster.',
  kubernetes_events_dropped: 'Too many Events were to be recorded.',
  leading: 'This pod keeps the scaling limit.',
  no_longer_leading: 'Another pod keeps it.',
  scaling_limit_changed: 'The limit of the pods was set to the number of partitions.',
} as const satisfies Readonly<Record<string, string>>

/** What a line may be called. */
export type EventName = keyof typeof EVENTS
