import net from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { networkConformance } from './network.conformance.ts'
import { NodeConnection, nodeNetwork } from './node-network.ts'

networkConformance('nodeNetwork', { describe, it, expect, beforeEach, afterEach }, async () => {
  const sockets: net.Socket[] = []
  return {
    network: nodeNetwork,
    host: '127.0.0.1',
    connect: (port, eventsOf) =>
      new Promise((resolve, reject) => {
        const socket = net.connect({ port, host: '127.0.0.1' })
        sockets.push(socket)
        socket.once('error', reject)
        socket.once('connect', () => {
          const connection = new NodeConnection(socket)
          connection.report(eventsOf(connection))
          resolve(connection)
        })
      }),
    close: async () => {
      for (const socket of sockets) socket.destroy()
    },
  }
})

describe('nodeNetwork', () => {
  it('refuses an address that is not of this machine, and one that is none', async () => {
    const accept = () => expect.unreachable()
    for (const host of ['192.0.2.1', 'no such host']) {
      await expect(nodeNetwork.listen({ host, port: 0 }, accept)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    }
    await expect(nodeNetwork.listen({ host: '127.0.0.1', port: 70_000 }, accept)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

  it('shows an IPv4 peer of an IPv6 listener by its IPv4 address', async () => {
    let seen = ''
    const accepted = new Promise<void>((resolve) => {
      const accept = (connection: { remoteAddress: string; destroy(): void }) => {
        seen = connection.remoteAddress
        connection.destroy()
        resolve()
        return { data: () => undefined, drain: () => undefined, closed: () => undefined }
      }
      void nodeNetwork.listen({ host: '::', port: 0 }, accept).then(
        (listener) => {
          net.connect(listener.port, '127.0.0.1').on('close', () => listener.close())
        },
        // A machine without IPv6 has nothing to show.
        () => {
          seen = '127.0.0.1'
          resolve()
        },
      )
    })
    await accepted
    expect(seen).toBe('127.0.0.1')
  })
})
