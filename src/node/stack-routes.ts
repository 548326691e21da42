// The part of the HTTP API about stacks: what each database's engines do, and their switches. Reads need no token, what changes
// something does. Every answer is JSON; a refusal has `error` (a sentence), and `code` where ERROR_CODES has one.

import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { DelosError } from '../base/delos-error.ts'
import type { FlagChange, FlagOutcome } from '../engine/engine-flags.ts'
import type { EngineStatus, Stack } from '../engine/stack.ts'
import type { ObserverSnapshot } from '../engines/observer-engine.ts'
import type { AdminToken } from './admin-token.ts'
import { errorHandler, guarded } from './api-access.ts'
import type { Routes } from './http-listener.ts'
import { stackReport } from './stack-report.ts'

/** What the routes need of a database. */
export interface StackSource {
  readonly stack: Stack<unknown>
  joints(): readonly ObserverSnapshot[]
}

export interface StackRoutesOptions {
  readonly databases: ReadonlyMap<string, StackSource>
  readonly token: AdminToken
}

/** Answer of a switch: what apply decided, the same on all servers. */
export interface SwitchAnswer {
  readonly database: string
  readonly engine: string
  readonly outcome: FlagOutcome['kind']
  readonly enabled: boolean
  readonly level: number
  /** Of a refusal: the members that have not announced the engine at that level. */
  readonly missing?: readonly string[]
  readonly error?: string
}

export interface EnginesAnswer {
  readonly database: string
  /** Bottom to top, without Base. */
  readonly engines: readonly EngineStatus[]
}

const LEVEL_MAX = 2 ** 31 - 1

const CHANGE = z.union([
  z.strictObject({ enabled: z.boolean() }),
  z.strictObject({ level: z.number().int().min(1).max(LEVEL_MAX) }),
])

type DatabaseRequest = FastifyRequest<{ Params: { database: string } }>
type EngineRequest = FastifyRequest<{ Params: { database: string; engine: string } }>

/**
 * `GET /v1/databases/D/stack`: StackReport. `GET /v1/databases/D/engines`: EnginesAnswer. `POST /v1/databases/D/engines/E` with
 * `{"enabled": BOOLEAN}` or `{"level": NUMBER}`, through the log: SwitchAnswer, with 409 if it was refused.
 */
export function stackRoutes({ databases, token }: StackRoutesOptions): Routes {
  const stackOf = (name: string): StackSource => {
    const source = databases.get(name)
    if (source === undefined) throw new DelosError('NOT_FOUND', `this server does not run a database ${name}`)
    return source
  }
  return (app) => {
    app.get('/v1/databases/:database/stack', { errorHandler }, async (request: DatabaseRequest) => {
      const { database } = request.params
      const source = stackOf(database)
      const { stack } = source
      const members = stack.membership.members(stack.read())
      return stackReport({ database, status: stack.status(), members, joints: source.joints() })
    })
    app.get('/v1/databases/:database/engines', { errorHandler }, async (request: DatabaseRequest) => {
      const { database } = request.params
      return { database, engines: stackOf(database).stack.status().engines } satisfies EnginesAnswer
    })
    app.post('/v1/databases/:database/engines/:engine', guarded(token), async (request: EngineRequest, reply) => {
      const { database, engine } = request.params
      const { stack } = stackOf(database)
      if (stack.layer(engine) === undefined) {
        throw new DelosError('NOT_FOUND', `database ${database} has no engine ${engine} in its stack`)
      }
      const change = changeIn(request.body)
      const answer = answerOf(database, engine, change, await stack.change(engine, change))
      return await reply.code(answer.outcome === 'switched' ? 200 : 409).send(answer)
    })
  }
}

function changeIn(body: unknown): FlagChange {
  const parsed = CHANGE.safeParse(body)
  if (!parsed.success) {
    const allowed = `{"enabled": true or false} or {"level": a whole number from 1 to ${LEVEL_MAX}}`
    throw new DelosError('INVALID_ARGUMENT', `the body must be ${allowed}`)
  }
  if ('level' in parsed.data) return { kind: 'level', level: parsed.data.level }
  return { kind: 'flag', enabled: parsed.data.enabled }
}

function answerOf(database: string, engine: string, change: FlagChange, outcome: FlagOutcome): SwitchAnswer {
  const { kind, flags } = outcome
  const answer = { database, engine, outcome: kind, enabled: flags.enabled, level: flags.level }
  if (outcome.kind === 'switched') return answer
  const { missing } = outcome
  if (change.kind === 'flag' && !change.enabled) {
    return {
      ...answer,
      missing,
      error: `${engine} is in use by ${missing.join(', ')}: ask that server, or wait until it is gone`,
    }
  }
  const level = change.kind === 'level' ? change.level : flags.level
  const error =
    missing.length > 0
      ? `${engine} at level ${level} is not known to ${missing.join(', ')}`
      : `${engine} is at level ${flags.level} already, and a level is never lowered`
  return { ...answer, missing, error }
}
