import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openServer, type Server } from 'delos'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AdditionResult, Counters, counterDatabase } from './counter.ts'

let dataDir: string
let server: Server

async function open(): Promise<Counters> {
  server = await openServer({ dataDir, databases: [counterDatabase()] })
  return new Counters(server.database<AdditionResult>('counter'))
}

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'counter-'))
})

afterEach(async () => {
  await server.close()
  await rm(dataDir, { recursive: true })
})

describe('the counter example', () => {
  it('adds, refuses to go below zero, and lists', async () => {
    const counters = await open()
    expect(await counters.add('a', 5)).toEqual({ value: 5 })
    expect(await counters.add('a', -2)).toEqual({ value: 3 })
    expect(await counters.add('a', -4)).toEqual({ rejected: 'below zero' })
    expect(await counters.add('ü', 1)).toEqual({ value: 1 })
    expect(await counters.get('a')).toBe(3)
    expect([...(await counters.list())]).toEqual([
      ['a', 3],
      ['ü', 1],
    ])
  })

  it('keeps what it counted when it is closed and opened again', async () => {
    const before = await open()
    await Promise.all(Array.from({ length: 100 }, () => before.add('a', 1)))
    await server.close()
    expect(await (await open()).get('a')).toBe(100)
  })

  it('runs beside Zelos in one process, each on a log of its own', async () => {
    server = await openServer({ dataDir, databases: ['zelos', counterDatabase()], zookeeper: { port: 0 } })
    const counters = new Counters(server.database<AdditionResult>('counter'))
    expect(await counters.add('a', 1)).toEqual({ value: 1 })
    expect(Object.keys(server.status().databases)).toEqual(['zelos', 'counter'])
    expect(server.addresses.zookeeper).toMatch(/^127\.0\.0\.1:\d+$/)
  })
})
