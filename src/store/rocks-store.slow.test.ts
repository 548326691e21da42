import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { compiled } from '../../test/support/compiled.ts'
import { tempDir } from '../../test/support/temp-dir.ts'
import { NodeDisk } from '../runtime/node-disk.ts'
import { nodeRuntime } from '../runtime/node-runtime.ts'
import { nodeTimers } from '../runtime/node-timers.ts'
import { seededChoices } from './local-store.conformance.ts'
import { digestOfRows, runStoreProgram } from './local-store.program.ts'
import { ManualTime } from './manual-time.ts'
import { openRocksStore } from './rocks-store.ts'

// Commits numbers as fast as it can, each under several keys, says which one it started at and which are flushed, and ends in
// the way it was told to after a random time.
const WRITER = `
const [, , root, directory, end] = process.argv
const { openRocksStore } = await import(root + '/store/rocks-store.js')
const { nodeRuntime } = await import(root + '/runtime/node-runtime.js')
const store = await openRocksStore({ directory, runtime: nodeRuntime(), layerKeysMax: 5000 })
if (end !== 'kill' || Math.random() < 0.5) void store.digest().catch(() => undefined)
let number = Number(Buffer.from(store.read().get('a') ?? '0').toString())
console.log('started ' + number)
const until = performance.now() + 50 + Math.random() * 200
const filler = Buffer.alloc(200, 3)
let flushing = false
for (;;) {
  if (store.full) await store.whenWritable()
  number++
  const tx = store.begin()
  for (const key of ['a', 'm', 'z']) tx.put(key, Buffer.from(String(number)))
  for (let i = 0; i < 20; i++) tx.put('k' + ((number * 7919 + i * 31) % 100000), filler)
  tx.commit()
  if (!flushing) {
    flushing = true
    const covered = number
    void store.flush().then(() => {
      flushing = false
      console.log('flushed ' + covered)
    })
  }
  if (number % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
  if (performance.now() < until) continue
  if (end === 'kill') process.kill(process.pid, 'SIGKILL')
  if (end === 'exit with a view') await store.openView({ deadlineMs: 1e6 })
  if (end === 'exit inside a scan') store.read().scan({ from: '' })[Symbol.iterator]().next()
  if (end === 'exit inside a digest') {
    await store.flush()
    void store.digest()
    await store.flush()
  }
  if (end === 'throw') throw new Error('on purpose')
  if (end === 'close') await store.close()
  if (end !== 'close' && end !== 'leave') process.exit(0)
  break
}
`

describe('the RocksDB store', () => {
  let root = ''
  let script = ''
  beforeAll(() => {
    root = compiled('src/store/rocks-store.ts', 'src/runtime/node-runtime.ts')
    script = join(tempDir('store-writer'), 'writer.mjs')
    fs.writeFileSync(script, WRITER)
  })

  async function write(directory: string, end: string): Promise<{ status: string; flushed: number; errors: string }> {
    const child = spawn(process.execPath, [script, root, directory, end], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    let errors = ''
    child.stdout.on('data', (chunk: Buffer) => (output += chunk))
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk))
    const [code, signal] = await once(child, 'close')
    const numbers = [...output.matchAll(/(?:started|flushed) (\d+)\n/g)].map((match) => Number(match[1]))
    return { status: String(signal ?? code), flushed: Math.max(...numbers), errors }
  }

  /** The number that the store holds, which must be the same in all its places. */
  async function numberIn(directory: string): Promise<number> {
    const store = await openRocksStore({ directory, runtime: nodeRuntime() })
    const numbers = ['a', 'm', 'z'].map((key) => Number(Buffer.from(store.read().get(key) ?? '0').toString()))
    const expected = [...digestOfRows(store.read().scan({ from: '' }))]
    expect([...(await store.digest())].sort()).toEqual(expected.sort())
    await store.close()
    expect(new Set(numbers).size).toBe(1)
    return numbers[0] as number
  }

  it('holds whole commits, at least the flushed ones, and their digests, after its process was killed', async () => {
    const directory = join(tempDir('store-killed'), 'store')
    for (let round = 0; round < 12; round++) {
      const { status, flushed } = await write(directory, 'kill')
      expect(status).toBe('SIGKILL')
      expect(await numberIn(directory)).toBeGreaterThanOrEqual(flushed)
    }
  })

  for (const end of [
    'exit',
    'exit with a view',
    'exit inside a scan',
    'exit inside a digest',
    'throw',
    'leave',
    'close',
  ]) {
    it(`does not bring its process down when that ends by: ${end}`, async () => {
      const directory = join(tempDir('store-ended'), 'store')
      for (let round = 0; round < 4; round++) {
        const { status, flushed, errors } = await write(directory, end)
        expect(`${status} ${end === 'throw' ? errors.includes('on purpose') : errors}`).toBe(
          end === 'throw' ? '1 true' : '0 ',
        )
        expect(await numberIn(directory)).toBeGreaterThanOrEqual(flushed)
      }
    })
  }

  it('answers random programs as a sorted map does', async () => {
    for (let seed = 1000; seed < 1020; seed++) {
      const time = new ManualTime(nodeTimers.soon)
      const directory = join(tempDir('store-program'), 'store')
      const runtime = { clock: time, timers: time, disk: new NodeDisk() }
      const harness = {
        open: (options = {}) => openRocksStore({ ...options, runtime, directory }),
        advance: (ms: number) => time.advance(ms),
        turn: () => new Promise<void>((resolve) => nodeTimers.soon(resolve)),
        dispose: () => Promise.resolve(),
      }
      await runStoreProgram(harness, seededChoices(seed, 400))
    }
  })
})
