// Stream servers on node:net. Adds no buffering of its own; callers gather what they send and write once per turn.

import net from 'node:net'
import { DelosError } from '../base/delos-error.ts'
import type { Connection, ConnectionEvents, Listener, Network } from './network.ts'
import { errnoOf } from './node-disk-error.ts'

// Above this many unsent bytes `write` answers false. Four of the 64 KiB chunks in which Node reads.
const HIGH_WATER_BYTES = 256 * 1024
const BACKLOG = 511
const IPV4_IN_IPV6 = '::ffff:'

const ADDRESS_ERRORS: ReadonlySet<string> = new Set([
  'EADDRNOTAVAIL',
  'EACCES',
  'EAFNOSUPPORT',
  'EINVAL',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_SOCKET_BAD_PORT',
])

/** A socket of node:net as a Connection. */
export class NodeConnection implements Connection {
  readonly remoteAddress: string
  readonly remotePort: number
  readonly peerCertificate: Uint8Array | undefined
  private readonly socket: net.Socket
  private failure: Error | undefined

  constructor(socket: net.Socket, peerCertificate?: Uint8Array) {
    this.peerCertificate = peerCertificate
    // Absent if the peer was gone before the connection was accepted; `closed` follows at once.
    const address = socket.remoteAddress ?? ''
    this.remoteAddress = address.startsWith(IPV4_IN_IPV6) ? address.slice(IPV4_IN_IPV6.length) : address
    this.remotePort = socket.remotePort ?? 0
    this.socket = socket
  }

  get bufferedBytes(): number {
    return this.socket.writableLength
  }

  write(bytes: Uint8Array): boolean {
    // The peer may go at any moment, so a late write is no mistake of the caller: `closed` tells.
    if (!this.socket.writable) return false
    return this.socket.write(bytes)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** Wires the events; separate from construction, since their receiver wants the connection first. */
  report(events: ConnectionEvents): void {
    this.socket.on('data', (chunk: Buffer) => events.data(chunk))
    this.socket.on('drain', () => events.drain())
    this.socket.on('error', (error) => {
      this.failure = error
    })
    this.socket.on('close', () => events.closed(this.failure))
  }
}

/** node:net as a Network. */
export const nodeNetwork: Network = {
  listen: (options, accept) =>
    listenForSockets(options, (socket) => {
      const connection = new NodeConnection(socket)
      connection.report(accept(connection))
    }),
}

/** Listens as a Network does, and hands over every socket as Node made it. */
export function listenForSockets(
  { host, port, backlog = BACKLOG }: { host: string; port: number; backlog?: number },
  arrived: (socket: net.Socket) => void,
): Promise<Listener> {
  return new Promise<Listener>((resolve, reject) => {
    const server = net.createServer({ noDelay: true, highWaterMark: HIGH_WATER_BYTES }, arrived)
    server.once('error', (error) => reject(listenError(error, host, port)))
    try {
      server.listen({ host, port, backlog }, () => {
        // A failed accept concerns only the connection that was not made, and Node goes on accepting.
        server.on('error', () => undefined)
        resolve(listenerOf(server))
      })
    } catch (error) {
      reject(listenError(error, host, port))
    }
  })
}

function listenerOf(server: net.Server): Listener {
  const { address, port } = server.address() as net.AddressInfo
  return {
    host: address,
    port,
    close: () => {
      // The system's socket closes inside this call; Node's own event would wait for every open connection to end.
      server.close()
      return Promise.resolve()
    },
  }
}

function listenError(thrown: unknown, host: string, port: number): DelosError {
  const errno = errnoOf(thrown) ?? 'unknown error'
  const code = errno === 'EADDRINUSE' ? 'IN_USE' : ADDRESS_ERRORS.has(errno) ? 'INVALID_ARGUMENT' : 'IO_ERROR'
  return new DelosError(code, `listen on ${host}:${port}: ${errno}`, { cause: thrown })
}
