import { execFileSync, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openServer } from 'delos'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { allocations, Broker, machines } from './broker.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TSC = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
const PROGRAM = join(ROOT, 'build/examples/resource-broker/main.js')
const ROUNDS = 3

let dataDir: string

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'broker-crash-'))
  execFileSync(process.execPath, [TSC, '-p', join(ROOT, 'examples/tsconfig.json')], { stdio: 'inherit' })
})

afterAll(async () => {
  await rm(dataDir, { recursive: true })
})

/** What the program has said about a request. */
type Word = 'asking' | 'allocated' | 'releasing' | 'released'

/** Runs the program until it has printed so many lines, and kills it. */
async function runAndKill(round: number, lines: number, told: Map<string, { word: Word; machine?: string }>) {
  const child = spawn(process.execPath, [PROGRAM, dataDir, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let left = lines
  for await (const line of createInterface({ input: child.stdout })) {
    const [word, request, machine] = line.split(' ') as [Word, string, string | undefined]
    told.set(request, { ...told.get(request), word, ...(machine !== undefined && { machine }) })
    if (--left === 0) child.kill('SIGKILL')
  }
}

it('after every kill of the process each machine has one user, and everybody has what they were told', async () => {
  const told = new Map<string, { word: Word; machine?: string }>()
  for (let round = 1; round <= ROUNDS; round++) {
    await runAndKill(round, 25 + 21 * round, told)
    const server = await openServer({ dataDir, databases: ['table'] })
    const broker = await Broker.open(server.tables, 2)
    const users = new Map((await server.tables.scan(allocations)).rows.map((row) => [row.request, row]))
    for (const [request, { machine, word }] of told) {
      if (word === 'allocated') expect(users.get(request)?.machine).toBe(machine)
      if (word === 'released') expect(users.has(request)).toBe(false)
    }
    expect([...users.keys()].filter((request) => !told.has(request))).toEqual([])
    const taken = [...users.values()].map(({ machine }) => machine)
    expect(new Set(taken).size).toBe(taken.length)
    const all = (await server.tables.scan(machines)).rows
    expect(all.filter(({ free }) => !free).map(({ id }) => id)).toEqual(taken.toSorted())
    const free = await server.tables.scan(machines, { index: 'free' })
    expect(free.rows.map(({ id }) => id).toSorted()).toEqual(all.filter(({ free }) => free).map(({ id }) => id))
    // Whoever was not told asks again, and gets the machine that is theirs already, if one is.
    for (const [request, { word }] of told) {
      const row = users.get(request)
      if (word !== 'asking' || row === undefined) continue
      const again = await broker.allocate({ request, team: row.team, zone: 'here', coresMin: 1n })
      expect(again).toEqual({ machine: row.machine })
    }
    await server.close()
  }
})
