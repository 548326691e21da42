import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openServer, type Server } from 'delos'
import { defineTable, string, type Tables } from 'delos/table'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FencedRegister } from './fenced-register.ts'
import { Election, leases, type Term } from './leader-election.ts'

let dataDir: string
let server: Server

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'election-'))
  server = await openServer({ dataDir, databases: ['table'] })
})

afterEach(async () => {
  await server.close()
  await rm(dataDir, { recursive: true })
})

const over = (term: Term) => new Promise((resolve) => term.over.addEventListener('abort', resolve))

describe('the leader election example', () => {
  it('has one leader; when it resigns the next one leads, with a higher token', async () => {
    const election = await Election.open(server.tables, 'scheduler')
    const terms = new Map<string, Term>()
    const stop = new AbortController()
    const running = ['a', 'b', 'c'].map(async (name) => {
      const term = await election.campaign(name, stop.signal)
      if (term !== undefined) terms.set(name, term)
    })
    const fences: number[] = []
    for (let turn = 0; turn < 2; turn++) {
      await Promise.race(running.filter((_, i) => !terms.has(['a', 'b', 'c'][i] as string)))
      const [name, term] = [...terms].at(-1) as [string, Term]
      expect(terms.size).toBe(turn + 1)
      expect(await election.leader()).toBe(name)
      fences.push(term.fence)
      await term.resign()
      expect(term.over.aborted).toBe(true)
    }
    stop.abort()
    await Promise.all(running)
    for (const term of terms.values()) await term.resign()
    expect(fences[1]).toBeGreaterThan(fences[0] as number)
    expect(await election.leader()).toBeUndefined()
  })

  it('lets nobody write who was cut off for too long, wherever the write goes', { timeout: 30_000 }, async () => {
    const notes = defineTable({ name: 'notes', columns: { id: string(), by: string() }, key: ['id'] })
    await server.tables.migrate(notes)
    const register = new FencedRegister<string>()
    const note = (term: Term, by: string) =>
      server.tables.batch((batch) => term.guard(batch).upsert(notes, { id: 'note', by }))

    const cut = await Election.open(withoutUpdates(server.tables), 'scheduler')
    const old = (await cut.campaign('old')) as Term
    expect(register.write(old.fence, 'old')).toBe(true)
    expect(await note(old, 'old')).toMatchObject({ ok: true })

    const election = await Election.open(server.tables, 'scheduler')
    const [young] = await Promise.all([election.campaign('young') as Promise<Term>, over(old)])
    expect(await election.leader()).toBe('young')
    expect(register.write(young.fence, 'young')).toBe(true)
    expect(await note(young, 'young')).toMatchObject({ ok: true })

    expect(register.write(old.fence, 'old')).toBe(false)
    expect(await note(old, 'old')).toMatchObject({ ok: false, operation: 0, reason: 'condition' })
    expect(register.value).toBe('young')
    expect(await server.tables.get(notes, { id: 'note' })).toEqual({ id: 'note', by: 'young' })
    await young.resign()
    await old.resign()
  })

  it('renews the lease for as long as the leader lives', { timeout: 30_000 }, async () => {
    const election = await Election.open(server.tables, 'scheduler')
    const term = (await election.campaign('a')) as Term
    const renewals: number[] = []
    for await (const { after } of server.tables.changes(leases, { after: term.fence })) {
      expect(after).toBeDefined()
      renewals.push(performance.now())
      if ((renewals.at(-1) as number) - (renewals[0] as number) > 3500) break
    }
    expect(term.over.aborted).toBe(false)
    expect(await election.leader()).toBe('a')
    await term.resign()
  })
})

/** Tables as a contender has them whose renewals get lost. */
function withoutUpdates(tables: Tables): Tables {
  return new Proxy(tables, {
    get: (target, name) => {
      if (name === 'update') return () => Promise.reject(new Error('cut off'))
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}
