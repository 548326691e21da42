// The bugs that a simulation can plant, by faulty parts in this folder, to show that it would find them in the product.

/** Every planted bug, and what the faulty part does. */
export const PLANTED_BUGS = {
  'no-sync': 'The disk says that a file is synced and does nothing.',
  'no-dir-sync': 'The disk says that a directory is synced and does nothing.',
  'ack-before-write': 'The loglet acknowledges an append before it is durable.',
  'seal-check-first': 'The loglet looks at its seal before the write that the seal should have stopped.',
  'cursor-outside-tx': 'The store writes the cursor in another batch than the data that it covers.',
  'layer-pushed-in-part': 'The store pushes a part of its committed layer to disk.',
  'batch-shares-result': 'Batching hands the last result of a batch to everybody who is in it.',
  'stale-vote': 'Time counts a vote for an earlier generation of a timer.',
  'trim-past-durable': 'ViewTracking reports what a server has applied instead of what is durable there.',
  'epoch-reused': 'SessionOrder goes on in the epoch of its former process.',
  'ephemerals-die-early': 'A session, and with it its ephemeral nodes, ends with its connection.',
  'watch-lost': 'Of the watches that a client brings back, the first is not set.',
  'event-twice': 'A client that comes back is told once more of the last changes that it has seen.',
  'event-late': 'A watch event leaves after replies that show its change.',
  'standstill-counts': 'Time in which the server stood still counts against its sessions.',
  'edit-kept-from-memory': 'BrainDoctor tells no layer above that rows were edited.',
  'lease-clock-first': 'The holder of a lease looks at the clock before it reads, not after.',
  'lease-margin-zero': 'The holder of a lease reads by it for as long as the others wait.',
  'lease-filters-control': 'Lease filters also control entries of servers that do not hold it.',
  'backup-not-durable': 'LogBackup says that a segment is uploaded before it is durable in the blob store.',
  'backup-trimmed-ahead': 'LogBackup lets the log be trimmed to what is claimed, not to what is uploaded.',
  'backup-stale-claim': 'LogBackup takes a completion for that of whatever its server claims now.',
  'index-survives-rollback': 'A transaction of tables that is rejected leaves its index entries behind.',
  'range-not-validated': 'Ranges that a transaction of tables has scanned are not looked at again.',
  'token-applied-twice': 'A transaction of tables does not look for its token.',
  'backfill-overwrites': 'The building of an index writes rows back as they were before their last change.',
  'expiry-by-local-clock': 'When a row expires is reckoned by the clock of the server that applies the write.',
} as const satisfies Record<string, string>

export type PlantedBug = keyof typeof PLANTED_BUGS

/** The bug of that name, if there is one. */
export function plantedBug(name: string): PlantedBug | undefined {
  return Object.hasOwn(PLANTED_BUGS, name) ? (name as PlantedBug) : undefined
}
