import { describe, expect } from 'vitest'
import { baseTest, logged, reasonOf, thisTurn } from '../../../test/support/base-fixture.ts'
import { ledgerTexts } from '../../../test/support/ledger.ts'
import { Gate } from '../../../test/support/scripted-log.ts'
import { controlEntry, entryOf, withHeader } from '../../engine/entry.ts'
import { encodeEntry } from '../../engine/entry-codec.ts'

const text = (value: string) => Buffer.from(value)

describe('Base, stopped by an entry', () => {
  baseTest('says where and why, refuses what comes, and neither retries nor goes on', async ({ log, server }) => {
    await server.startServing()
    await server.propose('one')
    log.store(logged('?bug'))
    log.announce()
    expect(await server.stack.failed).toMatchObject({
      code: 'STOPPED',
      position: 1,
      message: "the ledger can't apply ?bug",
      entryHex: logged('?bug').toString('hex'),
      stack: expect.stringContaining('ledger.ts'),
    })
    expect(server.stack.status()).toMatchObject({ state: 'stopped', cursor: 1, failure: { position: 1 } })
    const { reads } = log
    const refused = await reasonOf(server.propose('two'))
    expect(refused).toMatchObject({ code: 'STOPPED', message: expect.stringContaining('position 1') })
    expect((await reasonOf(server.stack.sync())).code).toBe('STOPPED')
    expect((await reasonOf(server.stack.whenServing())).code).toBe('STOPPED')
    log.store(logged('three'))
    log.announce()
    await thisTurn()
    expect(log.reads).toBe(reads)
  })

  baseTest('rejects what waits: INDETERMINATE in flight, STOPPED for syncs', async ({ log, server }) => {
    await server.startServing()
    const gate = new Gate()
    log.appendGate = gate.wait
    const waiting = [reasonOf(server.propose('one')), reasonOf(server.stack.sync())]
    log.store(logged('?bug'))
    log.announce()
    const [proposal, sync] = await Promise.all(waiting)
    expect(proposal?.code).toBe('INDETERMINATE')
    expect(sync?.code).toBe('STOPPED')
    await server.stop()
  })

  baseTest(
    'leaves nothing of the transaction, and stops again at the same entry until it is voided',
    async ({ log, server }) => {
      log.store(logged('one'))
      await server.startServing()
      for (const value of ['two', '?bug', 'three']) log.store(logged(value))
      log.announce()
      expect((await server.stack.failed).position).toBe(2)
      expect(ledgerTexts(server.stack.read())).toEqual(['one'])
      await server.stop()
      await server.start()
      expect((await server.stack.failed).position).toBe(2)
      await server.stop()
      log.voided.add(2)
      await server.startServing()
      expect(ledgerTexts(server.stack.read())).toEqual(['one', 'two', 'three'])
    },
  )

  baseTest(
    'stops before an entry that needs an engine it lacks, with all before it applied',
    async ({ log, server }) => {
      log.store(logged('one'))
      log.store(encodeEntry(withHeader(entryOf(text('two')), 'future', text('x'), true)))
      await server.start()
      expect(await server.stack.failed).toMatchObject({
        code: 'UNSUPPORTED',
        position: 1,
        message: expect.stringContaining('future'),
      })
      expect(ledgerTexts(server.stack.read())).toEqual(['one'])
    },
  )

  baseTest(
    'ignores an unknown header that need not be understood, and passes no entry without payload up',
    async ({ log, server }) => {
      log.store(encodeEntry(withHeader(entryOf(text('one')), 'future', text('x'))))
      log.store(encodeEntry(controlEntry('future', text('x'))))
      await server.startServing()
      expect(ledgerTexts(server.stack.read())).toEqual(['one'])
      expect(server.ledger.seen.length).toBe(1)
      expect(server.stack.status().cursor).toBe(2)
    },
  )

  baseTest('stops before bytes that are no entry', async ({ log, server }) => {
    log.store(logged('one'))
    log.store(Buffer.from('d1ffff', 'hex'))
    await server.start()
    expect(await server.stack.failed).toMatchObject({ code: 'CORRUPT', position: 1, entryHex: 'd1ffff' })
    expect(ledgerTexts(server.stack.read())).toEqual(['one'])
  })

  baseTest('stops when the log was trimmed past it, and says what to do', async ({ log, server }) => {
    for (const value of ['one', 'two', 'three']) log.store(logged(value))
    log.trimmedTo = 2
    await server.start()
    const failure = await server.stack.failed
    expect(failure).toMatchObject({ code: 'TRIMMED', position: 0, message: expect.stringContaining('bootstrap') })
    expect((await reasonOf(server.stack.whenServing())).code).toBe('TRIMMED')
  })

  baseTest('names the entry whose postApply threw, not the first of its transaction', async ({ log, server }) => {
    await server.startServing()
    server.ledger.postApply = (entry) => {
      if (String(entry.payload) === 'two') throw new Error('a bug')
    }
    for (const value of ['one', 'two', 'three']) log.store(logged(value))
    log.announce()
    expect(await server.stack.failed).toMatchObject({ position: 1 })
    expect(server.stack.status()).toMatchObject({ cursor: 3, transactions: 1 })
  })

  baseTest('stops when postApply throws, with the commit in place', async ({ log, server }) => {
    await server.startServing()
    server.ledger.postApply = () => {
      throw new Error('a bug')
    }
    const waiting = reasonOf(server.propose('one'))
    expect(await server.stack.failed).toMatchObject({ code: 'STOPPED', message: 'a bug', position: 0 })
    expect((await waiting).code).toBe('INDETERMINATE')
    expect(log.entries.length).toBe(1)
    expect(server.stack.status().cursor).toBe(1)
  })
})
