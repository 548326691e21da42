// A database gets the engine while it has data already, uses it, and lives without it again: `node try.js DIRECTORY`.

import { DEFAULT_STACK, openServer, type Server } from 'delos'
import { type Applicator, type EngineFactory, entryOf } from 'delos/engine'
import { subStorePrefix } from 'delos/store'
import { compressionEngine } from './compression.ts'

const [dataDir = './notes-data'] = process.argv.slice(2)
const LAST = `${subStorePrefix('notes')}last`

/** Keeps the last note; answers how long it is. */
const notes: Applicator<number> = {
  apply: (tx, { payload = new Uint8Array() }) => {
    tx.put(LAST, payload)
    return payload.length
  },
  postApply: () => undefined,
}

async function session(engines: readonly EngineFactory[], body: (server: Server) => Promise<void>): Promise<void> {
  const server = await openServer({ dataDir, databases: [{ name: 'notes', applicator: notes, engines }] })
  await body(server)
  await server.close()
}

async function note(server: Server): Promise<void> {
  const stack = server.database<number>('notes')
  const length = await stack.propose(entryOf(Buffer.from('remember the milk; '.repeat(500))))
  const engine = stack.status().engines.find(({ name }) => name === 'compression')
  const { bytesBefore = 0, bytesAfter = 0 } = engine?.details ?? {}
  const saved = bytesBefore === 0 ? 0 : Math.round(100 - (100 * Number(bytesAfter)) / Number(bytesBefore))
  console.log(`a note of ${length} bytes; compression ${engine?.enabled ? 'on' : 'off'}, saved ${saved} % so far`)
}

const withIt = [...DEFAULT_STACK, compressionEngine()]

await session(DEFAULT_STACK, note)
await session(withIt, async (server) => {
  const stack = server.database<number>('notes')
  await note(server)
  console.log(await stack.change('compression', { kind: 'flag', enabled: false }))
  await note(server)
})
await session(DEFAULT_STACK, note)
