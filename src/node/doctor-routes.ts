// The part of the HTTP API with which operators look at and edit the rows of a database. All of it needs the admin token, reading
// too: rows hold what clients have written. Keys are escaped text (base/escaped-bytes.ts), values base64. Not here: what is done.

import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { DelosError } from '../base/delos-error.ts'
import { escapeKey, unescapeKey } from '../base/escaped-bytes.ts'
import { keyAfterPrefix } from '../base/key.ts'
import type { AuditRecord } from '../engines/brain-doctor/audit-trail.ts'
import type { RowEdit } from '../engines/brain-doctor/edit-codec.ts'
import type { LogPos } from '../log/position.ts'
import type { Clock } from '../runtime/runtime.ts'
import type { KeyRange } from '../store/local-store.ts'
import type { AdminToken } from './admin-token.ts'
import { guarded } from './api-access.ts'
import { Doctor, type DoctorOutcome, type DoctorParts } from './doctor.ts'
import type { Routes } from './http-listener.ts'

/** A value as JSON has it: base64, or null where there is no row. */
export type ValueJson = string | null

export interface RowAnswer {
  readonly database: string
  readonly key: string
  readonly value: ValueJson
}

export interface RowsAnswer {
  readonly database: string
  readonly rows: readonly { readonly key: string; readonly value: string }[]
  /** Go on from this key; absent at the end of the range. */
  readonly next?: string
}

export interface EditJson {
  readonly key: string
  readonly old: ValueJson
  readonly value: ValueJson
}

export interface EditsAnswer {
  readonly database: string
  readonly outcome: DoctorOutcome['kind']
  /** Edited: where. Recorded, or would be: the entry in front of which each server makes them. */
  readonly position?: number
  /** Edited. False: the holder of a lease may still answer reads with the rows as they were. */
  readonly shown?: boolean
  /** Recorded: where the log has them. Voiding that position takes them back, if the database stops at them. */
  readonly recordedAt?: number
  readonly edits?: readonly EditJson[]
  readonly conflicts?: readonly { readonly key: string; readonly expected: ValueJson; readonly found: ValueJson }[]
  readonly error?: string
}

export interface VoidAnswer {
  readonly database: string
  readonly position: number
  readonly changed: boolean
  readonly audited: boolean
}

export interface HistoryAnswer {
  readonly database: string
  /** The newest first. */
  readonly records: readonly {
    readonly number: number
    readonly position: number
    readonly at: string
    readonly who: string
    readonly why: string
    readonly forced: boolean
    readonly voids: boolean
    /** It was made in front of an entry at which the database had stopped. */
    readonly repair: boolean
    readonly edits: readonly EditJson[]
  }[]
}

export const ROWS_MAX = 10_000
const ROWS = 100
const ROWS_BYTES_MAX = 8 * 1024 * 1024
/** Base64 of what an edit may hold, twice. */
const BODY_BYTES_MAX = 16 * 1024 * 1024

const BASE64 = z.base64()
const SIGNED = { who: z.string().min(1), why: z.string().min(1) }
const EDITS = z.strictObject({
  ...SIGNED,
  edits: z.array(
    z.strictObject({ key: z.string().min(1), value: BASE64.nullable(), old: BASE64.nullable().optional() }),
  ),
  force: z.boolean().optional(),
  dryRun: z.boolean().optional(),
})
const VOID = z.strictObject({ ...SIGNED, position: z.number().int().min(0) })
const LIMIT = z.coerce.number().int().min(1).max(ROWS_MAX).default(ROWS)
const ONE = z.strictObject({ key: z.string().min(1) })
const RANGE = z.strictObject({
  prefix: z.string().optional(),
  from: z.string().optional(),
  to: z.string().optional(),
  limit: LIMIT,
})
const LAST = z.strictObject({ limit: LIMIT })

export interface DoctorRoutesOptions {
  readonly databases: ReadonlyMap<string, Omit<DoctorParts, 'clock'>>
  readonly token: AdminToken
  readonly clock: Pick<Clock, 'wallMs'>
}

/**
 * Below `/v1/databases/D/doctor`: `GET /row?key=K`: RowAnswer. `GET /rows?prefix=P` or `?from=K&to=K`, `limit`: RowsAnswer.
 * `GET /history?limit=N`: HistoryAnswer. `POST /edits`: EditsAnswer, with 409 if nothing was or would be changed. `POST /voids`:
 * VoidAnswer.
 */
export function doctorRoutes({ clock, databases, token }: DoctorRoutesOptions): Routes {
  const doctorOf = (name: string): Doctor => {
    const source = databases.get(name)
    if (source === undefined) throw new DelosError('NOT_FOUND', `this server does not run a database ${name}`)
    return new Doctor({ stack: source.stack, log: source.log, clock })
  }
  return (app) => {
    const options = guarded(token)
    app.get('/v1/databases/:database/doctor/row', options, async (request) => {
      const database = databaseIn(request)
      const key = unescapeKey(parsed(ONE, request.query).key)
      const value = await doctorOf(database).read((tx) => valueJson(tx.get(key)))
      return { database, key: escapeKey(key), value } satisfies RowAnswer
    })
    app.get('/v1/databases/:database/doctor/rows', options, async (request) => {
      const database = databaseIn(request)
      const { limit, ...range } = parsed(RANGE, request.query)
      return { database, ...(await rowsOf(doctorOf(database), rangeOf(range), limit)) } satisfies RowsAnswer
    })
    app.get('/v1/databases/:database/doctor/history', options, async (request) => {
      const database = databaseIn(request)
      const records = await doctorOf(database).history(parsed(LAST, request.query).limit)
      return { database, records: records.map(recordJson) } satisfies HistoryAnswer
    })
    app.post(
      '/v1/databases/:database/doctor/edits',
      { ...options, bodyLimit: BODY_BYTES_MAX },
      async (request, reply) => {
        const database = databaseIn(request)
        const doctor = doctorOf(database)
        const { dryRun = false, edits, force = false, who, why } = parsed(EDITS, request.body)
        const wanted = edits.map(({ key, old, value }) => ({
          key: unescapeKey(key),
          value: bytesOf(value),
          ...(old !== undefined && { old: { value: bytesOf(old) } }),
        }))
        const outcome = await doctor.edit({ edits: wanted, forced: force, dryRun, who, why })
        const made = outcome.kind !== 'conflict' && outcome.kind !== 'refused'
        return await reply.code(made ? 200 : 409).send({ database, ...outcomeJson(outcome) } satisfies EditsAnswer)
      },
    )
    app.post('/v1/databases/:database/doctor/voids', options, async (request) => {
      const database = databaseIn(request)
      const { position, who, why } = parsed(VOID, request.body)
      return { database, ...(await doctorOf(database).void(position as LogPos, { who, why })) } satisfies VoidAnswer
    })
  }
}

function databaseIn({ params }: FastifyRequest): string {
  return (params as { readonly database: string }).database
}

function parsed<T>(schema: z.ZodType<T>, given: unknown): T {
  const result = schema.safeParse(given ?? {})
  if (result.success) return result.data
  const complaints = result.error.issues.map(({ message, path }) => `${path.join('.') || 'it'}: ${message}`)
  throw new DelosError('INVALID_ARGUMENT', complaints.join('; '))
}

function rangeOf({
  from,
  prefix,
  to,
}: {
  from?: string | undefined
  prefix?: string | undefined
  to?: string | undefined
}): KeyRange {
  const start = from === undefined ? undefined : unescapeKey(from)
  const end = to === undefined ? undefined : unescapeKey(to)
  if (prefix === undefined) return { from: start ?? '', to: end }
  if (end !== undefined) throw new DelosError('INVALID_ARGUMENT', 'a range has a prefix or an end')
  const first = unescapeKey(prefix)
  return { from: start !== undefined && start > first ? start : first, to: keyAfterPrefix(first) }
}

async function rowsOf(doctor: Doctor, range: KeyRange, limit: number): Promise<Omit<RowsAnswer, 'database'>> {
  return await doctor.read((tx) => {
    const rows: { key: string; value: string }[] = []
    let bytes = 0
    for (const [key, value] of tx.scan(range, { limit: limit + 1 })) {
      if (rows.length === limit || (rows.length > 0 && bytes + value.length > ROWS_BYTES_MAX)) {
        return { rows, next: escapeKey(key) }
      }
      bytes += value.length
      rows.push({ key: escapeKey(key), value: base64(value) })
    }
    return { rows }
  })
}

function outcomeJson(outcome: DoctorOutcome): Omit<EditsAnswer, 'database'> {
  const { kind } = outcome
  switch (kind) {
    case 'edited':
      return { outcome: kind, position: outcome.position, shown: outcome.shown, edits: outcome.edits.map(editJson) }
    case 'recorded': {
      const { edits, position, recordedAt } = outcome
      return { outcome: kind, position, recordedAt, edits: edits.map(editJson) }
    }
    case 'would edit': {
      const { edits, position } = outcome
      return { outcome: kind, ...(position !== undefined && { position }), edits: edits.map(editJson) }
    }
    case 'conflict': {
      const conflicts = outcome.conflicts.map(({ key, expected, found }) => ({
        key: escapeKey(key),
        expected: valueJson(expected),
        found: valueJson(found),
      }))
      return { outcome: kind, conflicts, error: `${conflicts.length} rows do not hold what was expected` }
    }
    default:
      return { outcome: kind, error: outcome.reason }
  }
}

function recordJson(record: AuditRecord): HistoryAnswer['records'][number] {
  const { edits, forced, number, position, repairs, voids, wallMs, who, why } = record
  const at = new Date(wallMs).toISOString()
  return { number, position, at, who, why, forced, voids, repair: repairs !== undefined, edits: edits.map(editJson) }
}

function editJson({ key, old, value }: RowEdit): EditJson {
  return { key: escapeKey(key), old: valueJson(old), value: valueJson(value) }
}

function valueJson(value: Uint8Array | undefined): ValueJson {
  return value === undefined ? null : base64(value)
}

function base64(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
}

function bytesOf(value: ValueJson): Uint8Array | undefined {
  return value === null ? undefined : Buffer.from(value, 'base64')
}
