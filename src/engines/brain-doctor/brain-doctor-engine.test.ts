import { afterEach, describe, expect, it } from 'vitest'
import { openEngineServer } from '../../../test/support/engine-harness.ts'
import type { EngineServer, ProbeResult } from '../../engine/engine.conformance.ts'
import type { Applicator } from '../../engine/engine.ts'
import { readFlags } from '../../engine/engine-flags.ts'
import type { ReadTx } from '../../store/local-store.ts'
import { rangeOfPrefix, subStorePrefix } from '../../store/sub-store.ts'
import { batchingEngine } from '../batching-engine.ts'
import { AUDIT_RECORDS_MAX } from './audit-trail.ts'
import {
  BRAIN_DOCTOR,
  type BrainDoctorEngine,
  brainDoctorEngine,
  EDIT_BYTES_MAX,
  EDITS_MAX,
} from './brain-doctor-engine.ts'
import type { EditRequest, RowEdit } from './edit-codec.ts'

const opened: EngineServer[] = []
afterEach(async () => {
  for (const server of opened.splice(0)) await server.close()
})

/** A database that keeps one row in memory. */
class Memo implements Applicator<ProbeResult> {
  cached: string | undefined
  readonly edited_: string[][] = []

  apply(
    tx: Parameters<Applicator<ProbeResult>['apply']>[0],
    entry: Parameters<Applicator<ProbeResult>['apply']>[1],
  ): string {
    const said = String(Buffer.from(entry.payload as Uint8Array))
    if (said.startsWith('set ')) {
      this.cached = said.slice(4)
      tx.put('memo\x00row', Buffer.from(this.cached))
    }
    this.cached ??= textAt(tx, 'memo\x00row')
    return this.cached ?? 'nothing'
  }

  postApply(): void {
    // Nothing is soft.
  }

  edited(_tx: ReadTx, keys: readonly string[]): void {
    this.edited_.push([...keys])
    this.cached = undefined
  }
}

async function open(enabled = true) {
  const memo = new Memo()
  const server = await openEngineServer([brainDoctorEngine(), batchingEngine()], memo)
  opened.push(server)
  await server.stack.whenServing()
  if (enabled) await server.stack.enable()
  const doctor = server.stack.layer(BRAIN_DOCTOR) as BrainDoctorEngine
  return { server, memo, doctor, stack: server.stack }
}

function request(edits: readonly RowEdit[], more: Partial<EditRequest> = {}): EditRequest {
  return { who: 'ann', why: 'a test', wallMs: 5, forced: false, repairs: undefined, voids: false, edits, ...more }
}

const row = (key: string, old: string | undefined, value: string | undefined): RowEdit => ({
  key,
  old: old === undefined ? undefined : Buffer.from(old),
  value: value === undefined ? undefined : Buffer.from(value),
})

function textAt(tx: ReadTx, key: string): string | undefined {
  const value = tx.get(key)
  return value === undefined ? undefined : Buffer.from(value).toString()
}

describe('BrainDoctor', () => {
  it('puts, changes and deletes rows of any range at one position, and the database above reads them anew', async () => {
    const { doctor, memo, stack } = await open()
    expect(await stack.propose(Buffer.from('set one'))).toBe('one')
    const edits = [row('memo\x00row', 'one', 'two'), row('elsewhere', undefined, 'x')]
    expect(await doctor.edit(request(edits))).toEqual({ kind: 'edited', position: stack.status().cursor - 1 })
    expect(memo.edited_).toEqual([['memo\x00row', 'elsewhere']])
    expect(await stack.propose(Buffer.from('get'))).toBe('two')
    await doctor.edit(request([row('elsewhere', 'x', undefined)]))
    expect(stack.read().get('elsewhere')).toBeUndefined()
  })

  it('changes nothing at all unless every row holds what was expected, and says what differs', async () => {
    const { doctor, stack } = await open()
    await doctor.edit(request([row('a', undefined, '1'), row('b', undefined, '2')]))
    const outcome = await doctor.edit(request([row('a', '1', '9'), row('b', 'x', '9'), row('c', 'y', '9')]))
    expect(outcome).toEqual({
      kind: 'conflict',
      conflicts: [
        { key: 'b', expected: Buffer.from('x'), found: Buffer.from('2') },
        { key: 'c', expected: Buffer.from('y'), found: undefined },
      ],
    })
    expect([textAt(stack.read(), 'a'), textAt(stack.read(), 'b')]).toEqual(['1', '2'])
    expect(doctor.history(stack.read(), 10)).toHaveLength(1)
  })

  it('says beforehand what an edit would come to, and proposes nothing', async () => {
    const { doctor, stack } = await open()
    const { cursor } = stack.status()
    const preview = (edits: readonly RowEdit[], more?: Partial<EditRequest>) =>
      doctor.preview(stack.read(), request(edits, more))
    expect(preview([row('a', undefined, '1')])).toBeUndefined()
    expect(preview([row('a', 'x', '1')])).toMatchObject({ kind: 'conflict' })
    expect(preview([row('base\x00cursor', undefined, '1')])).toMatchObject({ kind: 'refused' })
    expect(stack.status().cursor).toBe(cursor)
  })

  it('keeps who, when, why, and every row before and after', async () => {
    const { doctor, stack } = await open()
    await doctor.edit(request([row('a', undefined, '1')], { who: 'ann', why: 'first', wallMs: 7 }))
    await doctor.edit(request([row('a', '1', undefined)], { who: 'bob', why: 'second', wallMs: 8 }))
    const { cursor } = stack.status()
    const [newest, oldest] = doctor.history(stack.read(), 10)
    expect(newest).toEqual({
      number: 2,
      position: cursor - 1,
      ...request([row('a', '1', undefined)], { who: 'bob', why: 'second', wallMs: 8 }),
    })
    expect(oldest).toMatchObject({ number: 1, position: cursor - 2, who: 'ann', why: 'first', wallMs: 7 })
    expect(doctor.history(stack.read(), 1)).toHaveLength(1)
  })

  it('drops the oldest records past the limit of their count, and of their bytes but never the newest', async () => {
    const { doctor, stack } = await open()
    const last = AUDIT_RECORDS_MAX + 3
    for (let i = 1; i <= last; i++) await doctor.edit(request([row('a', i === 1 ? undefined : `${i - 1}`, `${i}`)]))
    let kept = doctor.history(stack.read(), 10_000)
    expect([kept.length, kept.at(-1)?.number, kept[0]?.number]).toEqual([AUDIT_RECORDS_MAX, 4, last])
    const large = 'x'.repeat(EDIT_BYTES_MAX / 2)
    await doctor.edit(request([row('big', undefined, large)]))
    for (let i = 0; i < 8; i++)
      await doctor.edit(
        request([row('big', i % 2 === 0 ? large : `y${large.slice(9)}`, i % 2 === 0 ? `y${large.slice(9)}` : large)]),
      )
    kept = doctor.history(stack.read(), 10_000)
    expect(kept.length).toBeLessThan(6)
    expect(kept[0]?.number).toBe(last + 9)
  }, 20_000)

  it.each(['base', 'log-backup', 'brain-doctor', 'lease'])(
    'refuses the range of %s unless it is forced, and says so in the audit',
    async (range) => {
      const { doctor, stack } = await open()
      const edits = [row(`${range}\x00zzz`, undefined, '1')]
      expect(await doctor.edit(request(edits))).toEqual({
        kind: 'refused',
        reason: `the range of ${range} is edited by force only`,
      })
      expect(doctor.history(stack.read(), 10)).toEqual([])
      expect(await doctor.edit(request(edits, { forced: true }))).toMatchObject({ kind: 'edited' })
      expect(doctor.history(stack.read(), 10)).toMatchObject([{ forced: true }])
      expect(textAt(stack.read(), `${range}\x00zzz`)).toBe('1')
    },
  )

  it('goes on whatever was forced into its own range', async () => {
    const { doctor, stack } = await open()
    const prefix = subStorePrefix(BRAIN_DOCTOR)
    const forced = { forced: true }
    await doctor.edit(request([row(`${prefix}hxx`, undefined, 'rubbish')], forced))
    await doctor.edit(request([row(`${prefix}h\0\0\0\0\0\0\0\x09`, undefined, 'rubbish')], forced))
    expect(doctor.history(stack.read(), 10).map(({ number }) => number)).toEqual([10, 1])
    const last = `${prefix}h${'\xff'.repeat(8)}`
    expect(await doctor.edit(request([row(last, undefined, 'rubbish')], forced))).toMatchObject({ kind: 'refused' })
    expect(stack.read().get(last)).toBeUndefined()
    expect(await doctor.edit(request([row('a', undefined, '1')]))).toMatchObject({ kind: 'edited' })
    expect(stack.status().state).toBe('serving')
  })

  it('of Base what was applied can be edited by force, and what memory held of it follows', async () => {
    const { doctor, server, stack } = await open()
    const [[key, value] = []] = [...stack.read().scan(rangeOfPrefix('base\x00origin\x00'))]
    const edits: RowEdit[] = [{ key: key as string, old: value, value: undefined }]
    expect(await doctor.edit(request(edits, { forced: true }))).toMatchObject({ kind: 'edited' })
    expect(stack.read().get(key as string)).toBeUndefined()
    await stack.propose(Buffer.from('set one'))
    const replayed = await server.replay(new Memo())
    await replayed.stack.whenServing()
    const rows = (tx: ReadTx) =>
      [...tx.scan({ from: '' })].map(([name, bytes]) => `${name}=${Buffer.from(bytes).toString('hex')}`)
    expect(rows(replayed.stack.read())).toEqual(rows(stack.read()))
    await replayed.close()
  })

  it('writes nothing while it is disabled', async () => {
    const { doctor, stack } = await open(false)
    expect(await doctor.edit(request([row('a', undefined, '1')]))).toEqual({
      kind: 'refused',
      reason: 'brain-doctor is disabled',
    })
    expect([...stack.read().scan({ from: '' })].filter(([key]) => !key.startsWith('base'))).toEqual([])
  })

  it('of an engine that it disables by force is known at once, to the entry behind it too', async () => {
    const { doctor, stack } = await open()
    const key = `${subStorePrefix('batching')}\x00`
    const flags = stack.read().get(key) as Uint8Array
    const off = Buffer.from(flags)
    off[1] = 0
    const done = doctor.edit(request([{ key, old: flags, value: off }]))
    await done
    expect(readFlags(stack.read(), 'batching').enabled).toBe(false)
    expect(stack.status().engines.find(({ name }) => name === 'batching')?.enabled).toBe(false)
  })

  it('a repair does nothing at another position than the one that it names', async () => {
    const { doctor, stack } = await open()
    const outcome = await doctor.edit(request([row('a', undefined, '1')], { repairs: 0 as never }))
    expect(outcome).toEqual({ kind: 'refused', reason: 'it repairs position 0' })
    expect(stack.read().get('a')).toBeUndefined()
  })

  it.each<[string, Partial<EditRequest>, string]>([
    ['nobody', { who: '' }, 'INVALID_ARGUMENT'],
    ['no reason', { why: '' }, 'INVALID_ARGUMENT'],
    ['no rows', { edits: [] }, 'INVALID_ARGUMENT'],
    ['an empty key', { edits: [row('', undefined, '1')] }, 'INVALID_ARGUMENT'],
    ['a row twice', { edits: [row('a', undefined, '1'), row('a', undefined, '2')] }, 'INVALID_ARGUMENT'],
    ['a void without a position', { edits: [], voids: true }, 'INVALID_ARGUMENT'],
    [
      'too many rows',
      { edits: Array.from({ length: EDITS_MAX + 1 }, (_, i) => row(`${i}`, undefined, '')) },
      'LIMIT_EXCEEDED',
    ],
    ['too many bytes', { edits: [row('a', undefined, 'x'.repeat(EDIT_BYTES_MAX))] }, 'LIMIT_EXCEEDED'],
    ['a name that is too long', { who: 'x'.repeat(257) }, 'LIMIT_EXCEEDED'],
    ['a reason that is too long', { why: 'x'.repeat(4097) }, 'LIMIT_EXCEEDED'],
  ])('refuses %s before it is proposed', async (_what, wrong, code) => {
    const { doctor, stack } = await open()
    const { cursor } = stack.status()
    await expect(doctor.edit(request([row('a', undefined, '1')], wrong))).rejects.toMatchObject({ code })
    expect(stack.status().cursor).toBe(cursor)
  })
})
