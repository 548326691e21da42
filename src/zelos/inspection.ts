// What operators may look at in a Zelos database at one server: sessions, ephemerals, watches, access. Reads only, no access
// checks of its own, and costs what it shows: whoever prints it sets the limit.

import type { ReadTx } from '../store/local-store.ts'
import type { Requester } from './requests.ts'
import type { SessionTable } from './sessions/session-table.ts'
import { isPermitted } from './tree/acl-rules.ts'
import { allEphemeralsRange, ephemeralPath, sessionOfEphemeral } from './tree/key-space.ts'
import { ROOT } from './tree/node-path.ts'
import type { Watches } from './watches.ts'
import type { KnownSessionView, WatchSink, ZelosInspection } from './zelos.ts'
import type { ZelosApplicator } from './zelos-applicator.ts'
import { PERM, type SessionId } from './znode.ts'

const EVERY_PERMISSION = [PERM.READ, PERM.WRITE, PERM.CREATE, PERM.DELETE, PERM.ADMIN]

export class CommittedInspection implements ZelosInspection {
  private readonly applicator: ZelosApplicator
  private readonly store: { read(): ReadTx }
  private readonly table: SessionTable
  private readonly watches: Watches

  constructor(applicator: ZelosApplicator, store: { read(): ReadTx }, table: SessionTable, watches: Watches) {
    this.applicator = applicator
    this.store = store
    this.table = table
    this.watches = watches
  }

  sessions(): Iterable<KnownSessionView> {
    return this.table.all()
  }

  ephemerals(limit: number): { bySession: Map<SessionId, string[]>; cut: boolean } {
    const bySession = new Map<SessionId, string[]>()
    let left = limit
    for (const [key] of this.store.read().scan(allEphemeralsRange(), { limit: limit + 1, keysOnly: true })) {
      if (left-- === 0) return { bySession, cut: true }
      const session = sessionOfEphemeral(key)
      const paths = bySession.get(session)
      if (paths === undefined) bySession.set(session, [ephemeralPath(key)])
      else paths.push(ephemeralPath(key))
    }
    return { bySession, cut: false }
  }

  get watchesByPath(): ReadonlyMap<string, ReadonlySet<WatchSink>> {
    return this.watches.dataWatches
  }

  watchesBySink(): Iterable<readonly [sink: WatchSink, paths: ReadonlySet<string>]> {
    return this.watches.dataWatchesBySink()
  }

  get watchersTold(): ZelosInspection['watchersTold'] {
    return this.watches.told
  }

  mayDoAll(requester: Requester, path: string): boolean {
    const reader = this.store.read()
    const node = this.applicator.tree.read(reader, path)
    // The first update plants the root, open to everybody.
    if (node === undefined) return path === ROOT
    const acl = this.applicator.acls.list(reader, node.aclId)
    return EVERY_PERMISSION.every((permission) => isPermitted(acl, permission, requester))
  }
}
