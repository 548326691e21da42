import { describe, expect } from 'vitest'
import { baseTest, logged, reasonOf, thisTurn } from '../../../test/support/base-fixture.ts'
import { ledgerTexts } from '../../../test/support/ledger.ts'
import { Gate } from '../../../test/support/scripted-log.ts'
import { DelosError } from '../../base/delos-error.ts'

describe('Base, syncing', () => {
  baseTest('covers what another server completed before the call', async ({ log, server }) => {
    await server.startServing()
    log.store(logged('foreign'))
    expect(ledgerTexts(await server.stack.sync())).toEqual(['foreign'])
  })

  baseTest('shares one tail check among all syncs of a section', async ({ log, server }) => {
    await server.startServing()
    const before = log.tailChecks
    await Promise.all(Array.from({ length: 100 }, () => server.stack.sync()))
    expect(log.tailChecks - before).toBe(1)
  })

  baseTest('does not answer from a tail check that was under way when it was asked', async ({ log, server }) => {
    await server.startServing()
    const gate = new Gate()
    log.checkTailGate = gate.wait
    const first = server.stack.sync()
    await thisTurn()
    log.checkTailGate = undefined
    // The first check has read its tail; this completes elsewhere before the second sync is called.
    log.store(logged('between'))
    const second = server.stack.sync()
    gate.release()
    await first
    expect(ledgerTexts(await second)).toEqual(['between'])
  })

  baseTest('does not wait for proposals that are unfinished', async ({ log, server }) => {
    await server.startServing()
    const gate = new Gate()
    log.appendGate = gate.wait
    const proposal = server.propose('one')
    expect(ledgerTexts(await server.stack.sync())).toEqual([])
    gate.release()
    await proposal
  })

  baseTest('times out, and a tail check that hangs holds up nobody who comes later', async ({ log, server }) => {
    await server.startServing()
    log.checkTailGate = new Gate().wait
    const hanging = reasonOf(server.stack.sync())
    await thisTurn()
    log.checkTailGate = undefined
    const behind = server.stack.sync()
    expect((await hanging).code).toBe('TIMEOUT')
    await behind
  })

  baseTest('passes on why the tail could not be read', async ({ log, server }) => {
    await server.startServing()
    const cause = new DelosError('IO_ERROR', 'gone')
    log.checkTailGate = () => Promise.reject(cause)
    expect(await reasonOf(server.stack.sync())).toBe(cause)
  })
})
