import { describe, expect, it } from 'vitest'
import { DelosError } from '../base/delos-error.ts'
import { entryOf } from './entry.ts'
import { proposeForwarding } from './forwarding.ts'
import { LeaseHeld } from './leased-reads.ts'

const ENTRY = entryOf(Buffer.from('x'))

/** Servers by address: what each answers. An address: the lease is held there. */
function cluster(answers: Record<string, string | DelosError | { heldAt: string }>) {
  const asked: string[] = []
  const ask = async (address: string): Promise<string> => {
    asked.push(address)
    const answer = answers[address] as string | DelosError | { heldAt: string }
    if (typeof answer === 'string') return answer
    if (answer instanceof DelosError) throw answer
    throw new LeaseHeld({ serverId: `server of ${answer.heldAt}`, address: answer.heldAt })
  }
  const propose = () => proposeForwarding({ propose: () => ask('here') }, ENTRY, ({ address }) => ask(address))
  return { asked, propose }
}

describe('forwarding to the holder of the lease', () => {
  it('asks nobody else where nobody else holds it', async () => {
    const { asked, propose } = cluster({ here: 'applied' })
    expect(await propose()).toBe('applied')
    expect(asked).toEqual(['here'])
  })

  it('answers what the holder answered, also when it moved on meanwhile', async () => {
    const { asked, propose } = cluster({ here: { heldAt: 'a' }, a: { heldAt: 'b' }, b: 'applied' })
    expect(await propose()).toBe('applied')
    expect(asked).toEqual(['here', 'a', 'b'])
  })

  it('ends with the refusal where the lease goes on moving, or its holder has told no address', async () => {
    const moving = cluster({ here: { heldAt: 'a' }, a: { heldAt: 'b' }, b: { heldAt: 'a' } })
    await expect(moving.propose()).rejects.toMatchObject({ code: 'LEASE_HELD', holder: { address: 'b' } })
    expect(moving.asked).toEqual(['here', 'a', 'b', 'a'])
    const nowhere = cluster({ here: { heldAt: '' } })
    await expect(nowhere.propose()).rejects.toMatchObject({ code: 'LEASE_HELD' })
  })

  it('does not propose again what may have been applied', async () => {
    const { asked, propose } = cluster({ here: { heldAt: 'a' }, a: new DelosError('INDETERMINATE', 'no answer') })
    await expect(propose()).rejects.toMatchObject({ code: 'INDETERMINATE' })
    expect(asked).toEqual(['here', 'a'])
  })
})
