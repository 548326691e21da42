import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { countingEngine } from '../../test/support/counting-engine.ts'
import { openEngineServer } from '../../test/support/engine-harness.ts'
import { tempDir } from '../../test/support/temp-dir.ts'
import { LatencyHistogram } from '../base/latency-histogram.ts'
import type { EngineServer } from '../engine/engine.conformance.ts'
import type { Stack } from '../engine/stack.ts'
import { batchingEngine } from '../engines/batching-engine.ts'
import type { ObserverSnapshot } from '../engines/observer-engine.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import { ADMIN_TOKEN_FILE, AdminToken, openAdminToken } from './admin-token.ts'
import { stackReport } from './stack-report.ts'
import { stackRoutes } from './stack-routes.ts'

const TOKEN = 'a'.repeat(64)
const opened: EngineServer[] = []
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close()
})

async function routes() {
  const server = await openEngineServer([batchingEngine(), countingEngine({ levelMax: 1 })], {
    apply: () => 'applied',
    postApply: () => undefined,
  })
  opened.push(server)
  await server.stack.whenServing()
  const app = Fastify({ bodyLimit: 1024 })
  const databases = new Map([['probe', { stack: server.stack as Stack<unknown>, joints: () => [] }]])
  stackRoutes({ databases, token: new AdminToken(TOKEN) })(app)
  const get = async (url: string) => {
    const response = await app.inject({ url })
    return [response.statusCode, response.json()]
  }
  const post = async (url: string, payload: object | string, authorization: string | undefined = `Bearer ${TOKEN}`) => {
    const headers = { 'content-type': 'application/json', ...(authorization !== '' && { authorization }) }
    const response = await app.inject({ method: 'POST', url, payload, headers })
    return [response.statusCode, response.json()]
  }
  return { server, get, post }
}

const COUNTING = '/v1/databases/probe/engines/counting'

describe('the HTTP API about stacks', () => {
  it('shows engines and stack to whoever asks', async () => {
    const { get } = await routes()
    const engines = [
      { name: 'batching', enabled: false, level: 0, levelMax: 0, details: expect.anything() },
      { name: 'counting', enabled: false, level: 0, levelMax: 1, details: {} },
    ]
    expect(await get('/v1/databases/probe/engines')).toEqual([200, { database: 'probe', engines }])
    const [status, report] = await get('/v1/databases/probe/stack')
    expect([status, report]).toMatchObject([
      200,
      { database: 'probe', state: 'serving', members: ['server'], alarms: [], joints: [] },
    ])
    expect(report.layers.map(({ name, kind }: { name: string; kind: string }) => `${kind} ${name}`)).toEqual([
      'base base',
      'engine batching',
      'engine counting',
      'database probe',
    ])
  })

  it('switches an engine through the log, and answers what apply decided', async () => {
    const { server, post } = await routes()
    const done = { database: 'probe', engine: 'counting', outcome: 'switched', level: 0 }
    expect(await post(COUNTING, { enabled: true })).toEqual([200, { ...done, enabled: true }])
    expect(await post(COUNTING, { level: 1 })).toEqual([200, { ...done, enabled: true, level: 1 }])
    expect(await post(COUNTING, { enabled: false })).toEqual([200, { ...done, enabled: false, level: 1 }])
    expect(server.stack.status().cursor).toBe(3)
  })

  it('answers 409 with who is missing, and the database runs on', async () => {
    const { server, post } = await routes()
    const refused = { database: 'probe', engine: 'counting', outcome: 'refused', enabled: false, level: 0 }
    const error = 'counting at level 2 is not known to server'
    expect(await post(COUNTING, { level: 2 })).toEqual([409, { ...refused, missing: ['server'], error }])
    await post(COUNTING, { level: 1 })
    expect(await post(COUNTING, { level: 1 })).toMatchObject([409, { error: expect.stringContaining('already') }])
    expect(server.stack.status().state).toBe('serving')
  })

  it('lets nobody change anything without the token: 401 if there is none, 403 if it is another', async () => {
    const { server, post } = await routes()
    const error = expect.stringContaining('admin.token')
    for (const authorization of ['', 'Basic abc', `Bearer`]) {
      expect(await post(COUNTING, { enabled: true }, authorization)).toEqual([401, { error }])
    }
    for (const token of ['b'.repeat(64), 'a'.repeat(63), `${TOKEN}a`]) {
      expect(await post(COUNTING, { enabled: true }, `Bearer ${token}`)).toEqual([403, { error }])
      // Also before it says what there is.
      expect((await post('/v1/databases/none/engines/none', {}, `Bearer ${token}`))[0]).toBe(403)
    }
    expect(server.stack.status().cursor).toBe(0)
  })

  it.each<[string, string, object | string, number, string | undefined]>([
    ['an unknown database', '/v1/databases/none/engines/counting', { enabled: true }, 404, 'NOT_FOUND'],
    ['an unknown engine', '/v1/databases/probe/engines/none', { enabled: true }, 404, 'NOT_FOUND'],
    ['Base, which has no switch', '/v1/databases/probe/engines/base', { enabled: false }, 404, 'NOT_FOUND'],
    ['an empty body', COUNTING, {}, 400, 'INVALID_ARGUMENT'],
    ['both at once', COUNTING, { enabled: true, level: 1 }, 400, 'INVALID_ARGUMENT'],
    ['a flag that is no boolean', COUNTING, { enabled: 'yes' }, 400, 'INVALID_ARGUMENT'],
    ['a level below 1', COUNTING, { level: 0 }, 400, 'INVALID_ARGUMENT'],
    ['a level that is no whole number', COUNTING, { level: 1.5 }, 400, 'INVALID_ARGUMENT'],
    ['no JSON', COUNTING, '{"enabled":', 400, undefined],
    ['a body that is too large', COUNTING, `{"enabled":true${' '.repeat(2000)}}`, 413, undefined],
  ])('refuses %s in JSON', async (_what, url, body, status, code) => {
    const { server, post } = await routes()
    const [answered, answer] = await post(url, body)
    expect([answered, answer.code, typeof answer.error]).toEqual([status, code, 'string'])
    expect(server.stack.status().cursor).toBe(0)
  })

  it('answers 404 to readers of a database that is not there', async () => {
    const { get } = await routes()
    for (const what of ['stack', 'engines']) {
      expect(await get(`/v1/databases/none/${what}`)).toEqual([
        404,
        { code: 'NOT_FOUND', error: 'this server does not run a database none' },
      ])
    }
  })
})

describe('a stack report', () => {
  it('gives each layer the difference of the joints below and above it', async () => {
    const { server } = await routes()
    const joint = (below: string, above: string, proposeMs: number, applyMs: number): ObserverSnapshot => {
      const propose = new LatencyHistogram()
      propose.record(proposeMs)
      const empty = new LatencyHistogram().snapshot()
      const counts = { sampleEvery: 4, proposals: 10, rejections: 0, syncs: 0, applies: 10 }
      const times = { propose: propose.snapshot(), sync: empty, apply: empty, postApply: empty }
      return { below, above, ...counts, ...times, applyMs, applyUtilisation: applyMs / 10 }
    }
    const report = stackReport({
      database: 'probe',
      status: { ...server.stack.status(), applyMs: 9 },
      members: ['a'],
      joints: [
        joint('base', 'batching', 2, 6),
        joint('batching', 'counting', 3, 5),
        joint('counting', 'probe', 3.5, 2),
      ],
    })
    expect(report).toMatchObject({ applyUtilisation: 0.6, joints: [{ sampleEvery: 4 }, {}, {}] })
    expect(report.layers.map(({ name, share }) => ({ name, ...share }))).toEqual([
      { name: 'base', proposeUs: 2000, applyUs: 300, applyUtilisation: 0 },
      { name: 'batching', proposeUs: 1000, applyUs: 100, applyUtilisation: 0.1 },
      { name: 'counting', proposeUs: 500, applyUs: 300, applyUtilisation: 0.3 },
      { name: 'probe', proposeUs: 0, applyUs: 200, applyUtilisation: 0.2 },
    ])
  })
})

describe('the admin token', () => {
  const runtime = nodeRuntime()

  it('is made once, 32 random bytes in a file for its owner alone, and stays', async () => {
    const [one, other] = [tempDir('token'), tempDir('token')]
    const token = await openAdminToken(one, runtime)
    const path = join(one, ADMIN_TOKEN_FILE)
    const text = readFileSync(path, 'utf8')
    expect(text).toMatch(/^[0-9a-f]{64}\n$/)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(token.admits(`Bearer ${text.trim()}`)).toBe('admitted')
    expect((await openAdminToken(one, runtime)).admits(`bearer ${text.trim()}`)).toBe('admitted')
    expect((await openAdminToken(other, runtime)).admits(`Bearer ${text.trim()}`)).toBe('wrong token')
    expect(JSON.stringify(token)).not.toContain(text.trim())
  })

  it('of an operator\u2019s own is taken; a file without one is refused by name, not by content', async () => {
    const dir = tempDir('token')
    mkdirSync(dir, { recursive: true })
    writeFileSync(join(dir, ADMIN_TOKEN_FILE), `${'Secret-'.repeat(6)}\n`)
    expect((await openAdminToken(dir, runtime)).admits(`Bearer ${'Secret-'.repeat(6)}`)).toBe('admitted')
    for (const bad of ['', 'secret\n', `${'x'.repeat(40)} ${'x'.repeat(40)}`]) {
      writeFileSync(join(dir, ADMIN_TOKEN_FILE), bad)
      const error = await openAdminToken(dir, runtime).catch((thrown) => thrown)
      expect(error).toMatchObject({ code: 'CORRUPT', message: expect.stringContaining(ADMIN_TOKEN_FILE) })
      expect(error.message).not.toContain('secret')
    }
  })
})
