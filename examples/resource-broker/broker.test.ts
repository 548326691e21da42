import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openServer, type Server } from 'delos'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Allocated, allocations, Broker, type BrokerEvent, type Wish } from './broker.ts'

let dataDir: string
let server: Server
let broker: Broker

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'broker-'))
  server = await openServer({ dataDir, databases: ['table'] })
  broker = await Broker.open(server.tables, 3)
})

afterEach(async () => {
  await server.close()
  await rm(dataDir, { recursive: true })
})

const wish = (request: string, team = 'red', more: Partial<Wish> = {}): Wish => ({
  request,
  team,
  zone: 'north',
  coresMin: 1n,
  ...more,
})

const refused = (answer: Allocated) => ('refused' in answer ? answer.refused : undefined)

describe('the resource broker example', () => {
  it('gives the smallest machine that will do, the same one for the same request, and takes it back', async () => {
    expect(await broker.addMachine('large', 'north', 8n)).toBe(true)
    expect(await broker.addMachine('small', 'north', 2n)).toBe(true)
    expect(await broker.addMachine('small', 'north', 2n)).toBe(false)
    await broker.addMachine('far', 'south', 2n)
    expect(await broker.allocate(wish('a'))).toEqual({ machine: 'small' })
    expect(await broker.allocate(wish('a'))).toEqual({ machine: 'small' })
    expect(await broker.allocate(wish('b', 'red', { coresMin: 4n }))).toEqual({ machine: 'large' })
    expect(refused(await broker.allocate(wish('c')))).toBe('no such machine is free')
    expect(await broker.release('a')).toBe(true)
    expect(await broker.release('a')).toBe(false)
    expect(await broker.allocate(wish('c'))).toEqual({ machine: 'small' })
  })

  it('gives each machine once and no team more than its share, also when all ask at the same time', async () => {
    for (let i = 0; i < 8; i++) await broker.addMachine(`m${i}`, 'north', 1n)
    const teams = ['red', 'green', 'blue']
    const wishes = Array.from({ length: 15 }, (_, i) => wish(`r${i}`, teams[i % 3]))
    const answers = await Promise.all(wishes.map((one) => broker.allocate(one)))
    const given = answers.flatMap((answer) => ('machine' in answer ? [answer.machine] : []))
    expect(given.toSorted()).toEqual(['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7'])
    const held = await Promise.all(teams.map((team) => broker.held(team)))
    expect(Math.max(...held.map((one) => one.length))).toBe(3)
    expect(held.flatMap((one) => one.map(({ machine }) => machine)).toSorted()).toEqual(given.toSorted())
  })

  it('could not give a machine away twice if it tried', async () => {
    await broker.addMachine('only', 'north', 1n)
    await broker.allocate(wish('a'))
    const twice = await server.tables.insert(allocations, { request: 'b', team: 'red', machine: 'only' })
    expect(twice).toMatchObject({ ok: false, reason: 'unique', index: 'byMachine', current: { request: 'a' } })
  })

  it('tells what happened, from any position on', async () => {
    await broker.addMachine('m', 'north', 1n)
    const { position } = server.tables
    await broker.allocate(wish('a'))
    await broker.release('a')
    await broker.allocate(wish('b', 'blue'))
    const seen: BrokerEvent[] = []
    for await (const event of broker.events(position)) {
      seen.push(event)
      if (seen.length === 3) break
    }
    expect(seen.map(({ what, team }) => [what, team])).toEqual([
      ['allocated', 'red'],
      ['released', 'red'],
      ['allocated', 'blue'],
    ])
    for await (const event of broker.events(seen[1]?.position ?? 0)) {
      expect(event).toEqual(seen[2])
      break
    }
  })
})
