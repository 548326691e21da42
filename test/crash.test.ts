// The real process is killed with 64 requests in flight, again and again: what was acknowledged or seen is there
// afterwards, exactly once, and sessions go on. What a disk does on power loss is the simulator's to show.

import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Stat } from './support/jute.ts'
import { SeededRandom } from './support/seeded-random.ts'
import { TestServer } from './support/server.ts'
import { delay } from './support/wait.ts'
import { type Session, succeeded, ZkClient } from './support/zk-client.ts'
import { Err, Flags } from './support/zk-protocol.ts'

const ROUNDS = 20
const WRITERS = 8
const WINDOW = 8
const REGISTERS = 4
const READERS = 2
const TIMEOUT_MS = 40_000

/** A node that one writer sets, again and again. */
interface Register {
  readonly path: string
  /** Element v is what the set that makes version v writes: sets of one connection are applied in order. */
  readonly values: string[]
  acknowledged: number
}

/** The newest state of a register that any session was shown. */
interface Seen {
  version: number
  mzxid: bigint
}

interface Created {
  readonly path: string
  readonly stat: Stat
}

interface Writer {
  client: ZkClient
  readonly name: string
  readonly registers: Register[]
}

const random = SeededRandom.announced('crash test')
const seen = new Map<string, Seen>()
/** Data of every acknowledged node → where it is. */
const acknowledged = new Map<string, Created>()
/** Data of every node that was asked for. */
const asked = new Set<string>()
let requests = 0

let server: TestServer
beforeAll(async () => {
  server = await TestServer.start()
})
afterAll(() => server[Symbol.asyncDispose]())

function show(path: string, stat: Stat): void {
  const last = seen.get(path)
  if (last === undefined) {
    seen.set(path, { version: stat.version, mzxid: stat.mzxid })
    return
  }
  last.version = Math.max(last.version, stat.version)
  if (stat.mzxid > last.mzxid) last.mzxid = stat.mzxid
}

async function makeWriter(name: string): Promise<Writer> {
  const client = await ZkClient.connect(server.port, { timeoutMs: TIMEOUT_MS })
  succeeded(await client.create(`/alive-${name}`, name, Flags.ephemeral))
  const registers: Register[] = []
  for (let i = 0; i < REGISTERS; i++) {
    const path = `/register-${name}-${i}`
    succeeded(await client.create(path, 'first'))
    registers.push({ path, values: ['first'], acknowledged: 0 })
  }
  return { client, name, registers }
}

/** Keeps WINDOW requests of the writer in flight until the connection breaks. */
async function write(writer: Writer, folder: string): Promise<void> {
  const set = async (register: Register): Promise<void> => {
    const version = register.values.push(`${register.path} ${random.uint32()}`) - 1
    const stat = succeeded(await writer.client.setData(register.path, register.values[version] as string))
    expect(stat.version).toBe(version)
    register.acknowledged = version
    show(register.path, stat)
  }
  const create = async (): Promise<void> => {
    const data = `${writer.name} ${requests++}`
    asked.add(data)
    acknowledged.set(data, succeeded(await writer.client.create2(`${folder}/q-`, data, Flags.sequential)))
  }
  const lane = async (): Promise<void> => {
    while (!writer.client.isClosed) await (random.chance(0.5) ? create() : set(random.pick(writer.registers)))
  }
  await untilClosed(Array.from({ length: WINDOW }, lane))
}

async function read(client: ZkClient, registers: readonly Register[]): Promise<void> {
  const lane = async (): Promise<void> => {
    while (!client.isClosed) {
      const { path } = random.pick(registers)
      const atLeast = seen.get(path)?.version ?? 0
      const { stat } = succeeded(await client.getData(path))
      expect(stat.version).toBeGreaterThanOrEqual(atLeast)
      show(path, stat)
    }
  }
  await untilClosed([lane()])
}

/** Ends with the lanes; the break of the connection is how they end. */
async function untilClosed(lanes: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(lanes)) {
    if (result.status === 'rejected' && (result.reason as Error).name !== 'ConnectionClosed') throw result.reason
  }
}

async function resume(session: Session, lastZxidSeen: bigint): Promise<ZkClient> {
  const client = await ZkClient.connect(server.port, { timeoutMs: TIMEOUT_MS, session, lastZxidSeen })
  expect(client.session.id).toBe(session.id)
  expect((await client.ping()).zxid).toBeGreaterThanOrEqual(lastZxidSeen)
  return client
}

/** Every register is at a version between acknowledged and asked for, with the data of that version. */
async function checkRegisters(writer: Writer): Promise<void> {
  for (const register of writer.registers) {
    const { data, stat } = succeeded(await writer.client.getData(register.path))
    const last = seen.get(register.path)
    expect(stat.version).toBeGreaterThanOrEqual(Math.max(register.acknowledged, last?.version ?? 0))
    expect(stat.mzxid).toBeGreaterThanOrEqual(last?.mzxid ?? 0n)
    expect(data?.toString()).toBe(register.values[stat.version])
    register.values.length = stat.version + 1
    register.acknowledged = stat.version
    show(register.path, stat)
  }
}

/** Each acknowledged node of the folder is there once, as it was acknowledged; each other one was at least asked for. */
async function checkNodes(client: ZkClient, folder: string): Promise<number> {
  const { children, stat } = succeeded(await client.getChildren2(folder))
  expect(stat.cversion).toBe(children.length)
  expect(stat.numChildren).toBe(children.length)
  const nodes = new Map<string, Created>()
  await Promise.all(
    children.map(async (child) => {
      const path = `${folder}/${child}`
      const node = succeeded(await client.getData(path))
      const data = node.data?.toString() ?? ''
      expect([data, nodes.get(data)]).toEqual([data, undefined])
      nodes.set(data, { path, stat: node.stat })
    }),
  )
  for (const data of nodes.keys())
    if (!asked.has(data)) throw new Error(`${folder} has ${data}, which nobody asked for`)
  for (const [data, created] of acknowledged) {
    if (created.path.startsWith(`${folder}/`)) expect([data, nodes.get(data)]).toEqual([data, created])
  }
  return children.length
}

it(`after each of ${ROUNDS} kills every acknowledged write is there once, nothing goes back, sessions go on`, async () => {
  const writers: Writer[] = []
  for (let i = 0; i < WRITERS; i++) writers.push(await makeWriter(`w${i}`))
  const readers: ZkClient[] = []
  for (let i = 0; i < READERS; i++) readers.push(await ZkClient.connect(server.port, { timeoutMs: TIMEOUT_MS }))
  const registers = writers.flatMap((writer) => writer.registers)
  const startMs: number[] = [server.startMs]
  let unacknowledged = 0

  for (let round = 0; round < ROUNDS; round++) {
    const folder = `/round-${round}`
    succeeded(await (writers[0] as Writer).client.create(folder, ''))
    const before = acknowledged.size
    const work = Promise.allSettled([
      ...writers.map((writer) => write(writer, folder)),
      ...readers.map((reader) => read(reader, registers)),
    ])
    await delay(random.between(5, 300))
    await server.kill()
    for (const result of await work) if (result.status === 'rejected') throw result.reason
    if (random.chance(0.25)) await server.startAndKill(random.between(0, 200))
    await server.restart()
    startMs.push(server.startMs)

    for (const writer of writers) writer.client = await resume(writer.client.session, writer.client.lastZxid)
    for (const [i, reader] of readers.entries()) readers[i] = await resume(reader.session, reader.lastZxid)
    for (const writer of writers) {
      await checkRegisters(writer)
      expect(succeeded(await writer.client.exists(`/alive-${writer.name}`)).ephemeralOwner).toBe(
        writer.client.session.id,
      )
    }
    const there = await checkNodes(readers[0] as ZkClient, folder)
    unacknowledged += there - (acknowledged.size - before)
  }

  for (let round = 0; round < ROUNDS; round++) await checkNodes(readers[0] as ZkClient, `/round-${round}`)
  for (const writer of writers) {
    await writer.client.close()
    expect((await (readers[0] as ZkClient).exists(`/alive-${writer.name}`)).err).toBe(Err.noNode)
  }
  const sets = registers.reduce((sum, register) => sum + register.acknowledged, 0)
  const middle = startMs.sort((a, b) => a - b)[startMs.length >> 1] as number
  console.log(
    `${acknowledged.size} creates and ${sets} sets acknowledged, ${unacknowledged} more found, median start ${Math.round(middle)} ms`,
  )
  expect(acknowledged.size).toBeGreaterThan(ROUNDS * 10)
  // The quickest: others may have the processor now and then.
  expect(startMs[0]).toBeLessThan(1000)
})
