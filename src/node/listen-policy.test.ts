// What a listener does with a port that is taken, and what it tells of a host or a port that is none. Real listeners, both kinds.

import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { SILENT_LOGGER } from '../runtime/logger.ts'
import { nodeNetwork } from '../runtime/node-network.ts'
import { listenHttp } from './http-listener.ts'
import { listenByPolicy } from './listen-policy.ts'

type Listen = (host: string, port: number) => Promise<{ close(): Promise<void> }>

const LISTENERS: [string, Listen][] = [
  ['of streams', (host, port) => nodeNetwork.listen({ host, port }, () => expect.unreachable())],
  ['of HTTP', (host, port) => listenHttp(host, port, () => undefined)],
]

const refusal = (listen: Listen, host: string, port: number): Promise<unknown> =>
  listenByPolicy({ what: 'api', port, fatal: true }, SILENT_LOGGER, (at) => listen(host, at)).then(
    () => 'listens',
    (error) => error,
  )

describe.each(LISTENERS)('a listener %s', (_what, listen) => {
  it.each(['no-such-host.invalid', '1.2.3.4.5', '192.0.2.1', '2001:db8::1'])(
    'names the host, not the port, when there is no host %s here',
    async (host) => {
      expect(await refusal(listen, host, 0)).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(
          new RegExp(`^host: ${host} must be an address of this machine, or a name of one \\([A-Z_]+\\)$`),
        ),
      })
    },
  )

  it('names the port when that is taken', async () => {
    const holder = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => holder.once('listening', resolve))
    const { port } = holder.address() as { port: number }
    expect(await refusal(listen, '127.0.0.1', port)).toMatchObject({
      code: 'IN_USE',
      message: `port ${port} (api) is in use`,
    })
    holder.close()
  })
})

it('a port that needs a permission is told as one', async () => {
  const denied = Object.assign(new Error('listen EACCES'), { code: 'EACCES', address: '0.0.0.0' })
  expect(await refusal(() => Promise.reject(denied), '0.0.0.0', 80)).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: 'no permission to listen on port 80 (api)',
  })
})
