import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { compiled } from '../../test/support/compiled.ts'
import { tempDir } from '../../test/support/temp-dir.ts'
import { takeNodeLock } from './node-lock.ts'

// Takes and releases the lock again and again; while it holds it, a marker that must not exist yet does. One word a result.
const RACER = `
import fs from 'node:fs'
const { takeNodeLock } = await import(process.argv[2])
const [, , , path, rounds] = process.argv
let held = 0
for (let round = 0; round < Number(rounds); round++) {
  const lock = await takeNodeLock(path)
  if (lock === undefined) continue
  held++
  fs.writeFileSync(path + '-marker', String(process.pid), { flag: 'wx' })
  await new Promise(setImmediate)
  fs.unlinkSync(path + '-marker')
  await lock.release()
}
console.log(held)
`

// Takes the lock, says so, and waits for its end.
const HOLDER = `
const { takeNodeLock } = await import(process.argv[2])
const lock = await takeNodeLock(process.argv[3])
console.log(lock === undefined ? 'refused' : 'held')
setInterval(() => {}, 1000)
`

describe('the lock of a directory', () => {
  let module = ''
  let dir = ''

  beforeAll(() => {
    module = join(compiled('src/runtime/node-lock.ts'), 'runtime/node-lock.js')
    dir = tempDir('lock')
    fs.writeFileSync(join(dir, 'racer.mjs'), RACER)
    fs.writeFileSync(join(dir, 'holder.mjs'), HOLDER)
  })

  function start(script: string, ...args: string[]): ChildProcess {
    return spawn(process.execPath, [join(dir, script), module, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  }

  async function firstLine(child: ChildProcess): Promise<string> {
    const [chunk] = (await once(child.stdout!, 'data')) as [Buffer]
    return chunk.toString().trim()
  }

  async function killed(child: ChildProcess): Promise<void> {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  it('is never held by two processes that race for it, over many rounds', async () => {
    const path = join(dir, 'RACE')
    const racers = Array.from({ length: 3 }, () => start('racer.mjs', path, '1000'))
    const held = await Promise.all(
      racers.map(async (racer) => {
        const [line, [code]] = await Promise.all([firstLine(racer), once(racer, 'exit')])
        expect(code).toBe(0)
        return Number(line)
      }),
    )
    expect(held.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(500)
    expect(fs.readdirSync(dir).filter((name) => name.startsWith('RACE'))).toEqual([])
  })

  it('refuses while another process holds it, and is free once that was killed', async () => {
    const path = join(dir, 'KILLED')
    const holder = start('holder.mjs', path)
    expect(await firstLine(holder)).toBe('held')
    expect(await takeNodeLock(path)).toBeUndefined()
    await killed(holder)
    const lock = await takeNodeLock(path)
    expect(lock).toBeDefined()
    await lock?.release()
  })

  it('is taken over by exactly one of those that find its holder dead at the same time', async () => {
    for (let round = 0; round < 10; round++) {
      const path = join(dir, `HEIR-${round}`)
      const holder = start('holder.mjs', path)
      expect(await firstLine(holder)).toBe('held')
      await killed(holder)
      const heirs = await Promise.all(Array.from({ length: 20 }, () => takeNodeLock(path)))
      expect(heirs.filter((lock) => lock !== undefined)).toHaveLength(1)
      await heirs.find((lock) => lock !== undefined)?.release()
    }
  })

  it('is taken over by one process at a time when holders are killed and others race for it', async () => {
    const path = join(dir, 'BOTH')
    for (let round = 0; round < 6; round++) {
      const holder = start('holder.mjs', path)
      expect(await firstLine(holder)).toBe('held')
      const racers = [start('racer.mjs', path, '300'), start('racer.mjs', path, '300')]
      const results = racers.map((racer) => Promise.all([firstLine(racer), once(racer, 'exit')]))
      await killed(holder)
      for (const [line, [code]] of await Promise.all(results)) {
        expect(code).toBe(0)
        expect(Number(line)).toBeGreaterThanOrEqual(0)
      }
      expect(fs.existsSync(path)).toBe(false)
    }
  })

  it('takes over what an earlier boot, a re-used process id or a power failure left', async () => {
    const path = join(dir, 'STALE')
    const probe = await takeNodeLock(path)
    const own = JSON.parse(fs.readFileSync(path, 'utf8')) as Record<string, unknown>
    await probe?.release()
    const leftovers = [
      JSON.stringify({ ...own, bootId: 'another boot', nonce: 'aa' }),
      JSON.stringify({ ...own, start: '1', nonce: 'bb' }),
      JSON.stringify({ ...own, pid: 2 ** 30, nonce: 'cc' }),
      '',
      '{"pid":',
      'null',
    ]
    for (const leftover of leftovers) {
      fs.writeFileSync(path, leftover)
      const lock = await takeNodeLock(path)
      expect(lock).toBeDefined()
      expect(await takeNodeLock(path)).toBeUndefined()
      await lock?.release()
      expect(fs.existsSync(path)).toBe(false)
    }
  })

  it('is taken over also from one that was itself killed while taking over', async () => {
    const path = join(dir, 'CHAIN')
    fs.writeFileSync(path, JSON.stringify({ pid: 2 ** 30, bootId: '', start: '', nonce: 'aa' }))
    fs.writeFileSync(`${path}.aa`, JSON.stringify({ pid: 2 ** 30, bootId: '', start: '', nonce: 'bb' }))
    const lock = await takeNodeLock(path)
    expect(lock).toBeDefined()
    await lock?.release()
  })
})
