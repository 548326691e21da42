// What every Network must do, as tests. Cuts and resets are the simulated network's own tests.

import { assert } from '../base/assert.ts'
import type { DelosError } from '../base/delos-error.ts'
import type { TestFrameworkWithHooks } from '../base/test-framework.ts'
import type { Connection, ConnectionEvents, Listener, Network } from './network.ts'

/** What a test sees of one end of a stream. */
export interface End {
  readonly connection: Connection
  readonly received: Buffer[]
  drains: number
  /** Set once `closed` was called. */
  ended: { readonly error: Error | undefined } | undefined
}

export interface NetworkUnderTest {
  readonly network: Network
  readonly host: string
  /** Connects to a port of `host`. */
  connect(port: number, eventsOf: (connection: Connection) => ConnectionEvents): Promise<Connection>
  close(): Promise<void>
}

/** Registers the suite. */
export function networkConformance(
  name: string,
  framework: TestFrameworkWithHooks,
  make: () => Promise<NetworkUnderTest>,
): void {
  const { describe, it, expect, beforeEach, afterEach } = framework
  describe(`${name} keeps the contract of Network`, () => {
    let under: NetworkUnderTest
    let listener: Listener
    let servers: End[]
    let arrival: (() => void) | undefined

    beforeEach(async () => {
      under = await make()
      servers = []
      listener = await under.network.listen({ host: under.host, port: 0 }, (connection) => {
        const end = endOf(connection)
        servers.push(end)
        arrival?.()
        return recorder(end)
      })
    })
    afterEach(async () => {
      for (const { connection } of servers) connection.destroy()
      await listener.close()
      await under.close()
    })

    async function pair(): Promise<{ client: End; server: End }> {
      const arrived = new Promise<void>((resolve) => {
        arrival = resolve
      })
      let client: End | undefined
      await under.connect(listener.port, (connection) => {
        client = endOf(connection)
        return recorder(client)
      })
      await arrived
      return { client: client as End, server: servers.at(-1) as End }
    }

    it('tells the real port, and the address of the peer', async () => {
      expect(listener.port).toBeGreaterThan(0)
      const { server } = await pair()
      expect(server.connection.remoteAddress).toMatch(/^[0-9.]+$/)
      expect(server.connection.remotePort).toBeGreaterThan(0)
    })

    it('carries bytes both ways, in order, whatever the chunks', async () => {
      const { client, server } = await pair()
      const sent = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => i % 253))
      for (let at = 0; at < sent.length; at += 7_000) client.connection.write(sent.subarray(at, at + 7_000))
      server.connection.write(Buffer.from('answer'))
      await until(() => lengthOf(server) === sent.length && lengthOf(client) === 6)
      expect(Buffer.concat(server.received).equals(sent)).toBe(true)
      expect(Buffer.concat(client.received).toString()).toBe('answer')
    })

    it('tells the writer to wait while the reader is paused, and when to go on', async () => {
      const { client, server } = await pair()
      server.connection.pause()
      const block = Buffer.alloc(1_000_000, 1)
      let blocks = 0
      while (client.connection.write(block)) blocks++
      while (blocks < 20) {
        client.connection.write(block)
        blocks++
      }
      await until(() => client.connection.bufferedBytes > 0)
      expect(client.drains).toBe(0)
      server.connection.resume()
      await until(() => client.drains > 0)
      expect(client.connection.bufferedBytes).toBe(0)
    })

    it('sends what is buffered before it ends, and tells both ends once', async () => {
      const { client, server } = await pair()
      server.connection.write(Buffer.alloc(500_000))
      server.connection.end()
      await until(() => client.ended !== undefined && server.ended !== undefined)
      expect(lengthOf(client)).toBe(500_000)
      expect(client.ended).toEqual({ error: undefined })
      expect(server.connection.write(Buffer.from('late'))).toBe(false)
    })

    it('tells both ends when one destroys the stream', async () => {
      const { client, server } = await pair()
      server.connection.destroy()
      server.connection.destroy()
      await until(() => client.ended !== undefined && server.ended !== undefined)
    })

    it('refuses a port that is taken, and gives it again after close', async () => {
      const again = () => under.network.listen({ host: under.host, port: listener.port }, () => recorder(undefined))
      expect(await again().then(String, (error: DelosError) => error.code)).toBe('IN_USE')
      await listener.close()
      await (await again()).close()
    })

    it('keeps open streams when it stops to listen', async () => {
      const { client, server } = await pair()
      await listener.close()
      client.connection.write(Buffer.from('still'))
      await until(() => lengthOf(server) === 5)
      expect(
        await pair().then(
          () => 'connected',
          () => 'refused',
        ),
      ).toBe('refused')
    })
  })
}

function endOf(connection: Connection): End {
  return { connection, received: [], drains: 0, ended: undefined }
}

function recorder(end: End | undefined): ConnectionEvents {
  return {
    data: (chunk) => end?.received.push(chunk),
    drain: () => {
      if (end) end.drains++
    },
    closed: (error) => {
      assert(end?.ended === undefined, 'a stream was closed twice')
      if (end) end.ended = { error }
    },
  }
}

function lengthOf(end: End): number {
  return end.received.reduce((sum, chunk) => sum + chunk.length, 0)
}

/** Lets the event loop turn until `holds`; the test's own time limit ends it otherwise. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}
