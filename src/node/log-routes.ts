// The part of the HTTP API that gives the log's entries as they are, for commands that look into the past. They hold what clients wrote,
// so it needs the admin token.

import { DelosError } from '../base/delos-error.ts'
import type { LogPos } from '../log/position.ts'
import type { LogEntry, SharedLog } from '../log/shared-log.ts'
import type { AdminToken } from './admin-token.ts'
import { guarded } from './api-access.ts'
import type { Routes } from './http-listener.ts'

export interface LogRoutesOptions {
  readonly databases: ReadonlyMap<string, { readonly log: SharedLog; status(): { readonly historyId: string } }>
  readonly token: AdminToken
}

/** An entry of the log as JSON. */
export interface EntryJson {
  readonly pos: number
  /** Base64. */
  readonly bytes: string
  readonly voided: boolean
  readonly repairs?: readonly EntryJson[]
}

export interface LogAnswer {
  readonly database: string
  /** Positions of another history mean other entries. */
  readonly historyId: string
  /** The first position that can be read. */
  readonly oldest: number
  /** As far as this server knows. */
  readonly tail: number
  /** Those in [from, next). */
  readonly entries: readonly EntryJson[]
  readonly next: number
}

const READ_BYTES = 512 * 1024

interface LogRequest {
  readonly Params: { readonly database: string }
  readonly Querystring: { readonly from?: string }
}

/** `GET /v1/databases/D/log?from=POSITION`: LogAnswer. What was trimmed shows in `oldest`. */
export function logRoutes({ databases, token }: LogRoutesOptions): Routes {
  return (app) => {
    app.get<LogRequest>('/v1/databases/:database/log', guarded(token), async (request) => {
      const { database } = request.params
      const { from: given = '0' } = request.query
      const source = databases.get(database)
      if (source === undefined) throw new DelosError('NOT_FOUND', `this server does not run a database ${database}`)
      const { log } = source
      if (!/^\d{1,15}$/.test(given)) throw new DelosError('INVALID_ARGUMENT', 'from must be a position of the log')
      const oldest = log.oldest().pos
      const tail = log.knownTail
      const from = Math.max(Number(given), oldest) as LogPos
      const { entries, next, trimmedTo } = await log.readNext(from, tail, READ_BYTES)
      const answer: LogAnswer = {
        database,
        historyId: source.status().historyId,
        oldest: Math.max(oldest, trimmedTo ?? 0),
        tail,
        entries: entries.map(jsonOf),
        next,
      }
      return answer
    })
  }
}

function jsonOf({ bytes, pos, repairs, voided }: LogEntry): EntryJson {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')
  return { pos, bytes: text, voided, ...(repairs !== undefined && { repairs: repairs.map(jsonOf) }) }
}

/** Reads what `logRoutes` sent. */
export function entryOfJson({ bytes, pos, repairs, voided }: EntryJson): LogEntry {
  const entry = { pos: pos as LogPos, bytes: Buffer.from(bytes, 'base64'), voided }
  return repairs === undefined ? entry : { ...entry, repairs: repairs.map(entryOfJson) }
}
