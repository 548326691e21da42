// Stream servers with TLS on node:tls, alone or beside plain connections on the same port. Knows certificates and handshakes,
// and nothing of who their owners are.

import type net from 'node:net'
import tls from 'node:tls'
import { DelosError } from '../base/delos-error.ts'
import type { Connection, ConnectionEvents, Listener, Network } from './network.ts'
import { listenForSockets, NodeConnection } from './node-network.ts'

/** The first byte of every TLS connection: a handshake record. No protocol served beside TLS begins with it. */
const TLS_HANDSHAKE = 0x16

/** Keys and certificates, PEM; or all of it as PKCS#12. */
export interface TlsMaterial {
  readonly cert?: string
  readonly key?: string
  readonly pfx?: Buffer
  /** Of the key, or of the PKCS#12 file. */
  readonly passphrase?: string
  /** Who may sign clients' certificates. Undefined: those that the system trusts. */
  readonly ca?: string
  /** Certificates that are revoked. */
  readonly crl?: string
}

/** `need`: no connection without a certificate; `want`: without one, but not with a bad one; `none`: nobody is asked. */
export type ClientAuth = 'need' | 'want' | 'none'

/** Why a connection did not come about. */
export interface TlsRefusal {
  readonly kind: 'handshake' | 'certificate' | 'plain-text' | 'handshakes-max'
  readonly address: string
  readonly port: number
  readonly reason: string
}

export interface TlsNetworkOptions {
  readonly material: TlsMaterial
  readonly clientAuth: ClientAuth
  /** Connections whose first byte is none of TLS are taken as they are, instead of being closed. */
  readonly alsoPlain: boolean
  /** Handshakes under way; one more is closed at once. 0 = no limit. */
  readonly handshakesMax: number
  /** A handshake that takes longer is closed. */
  readonly handshakeMs: number
  readonly refused: (refusal: TlsRefusal) => void
}

const MIN_VERSION = 'TLSv1.2'

/** A connection on its way: what to tell if it does not get there. */
interface Arrival {
  readonly address: string
  readonly port: number
  kind: TlsRefusal['kind']
  reason: string
}

type Accept = (connection: Connection) => ConnectionEvents

export class TlsNetwork implements Network {
  private readonly options: TlsNetworkOptions
  private material: TlsMaterial
  private readonly servers = new Set<tls.Server>()
  /** By address and port of the peer. */
  private readonly arrivals = new Map<string, Arrival>()

  /** Throws INVALID_ARGUMENT if the material is none that can be used. */
  constructor(options: TlsNetworkOptions) {
    checkMaterial(options.material)
    this.options = options
    this.material = options.material
  }

  /** Handshakes under way, connections that have not sent their first byte among them. */
  get handshakes(): number {
    return this.arrivals.size
  }

  /** New connections get this material; those that are open keep theirs. Throws INVALID_ARGUMENT, and changes nothing then. */
  reload(material: TlsMaterial): void {
    checkMaterial(material)
    this.material = material
    for (const server of this.servers) server.setSecureContext({ ...material, minVersion: MIN_VERSION })
  }

  async listen(options: { host: string; port: number; backlog?: number }, accept: Accept): Promise<Listener> {
    const secure = this.secureServer(accept)
    const listener = await listenForSockets(options, (socket) => this.arrived(socket, secure, accept))
    this.servers.add(secure)
    const close = (): Promise<void> => {
      this.servers.delete(secure)
      return listener.close()
    }
    return { host: listener.host, port: listener.port, close }
  }

  /** Never listens itself: it is given sockets, and does their handshakes. */
  private secureServer(accept: Accept): tls.Server {
    const { clientAuth, handshakeMs } = this.options
    const server = tls.createServer({
      ...this.material,
      minVersion: MIN_VERSION,
      requestCert: clientAuth !== 'none',
      // Judged below, so that the reason can be told.
      rejectUnauthorized: false,
      handshakeTimeout: handshakeMs,
      // A session that is taken up again would keep the rights of a certificate that was revoked meanwhile.
      sessionTimeout: 1,
    })
    server.on('secureConnection', (socket) => {
      const bad = this.badCertificate(socket)
      if (bad === undefined) return this.take(socket, accept, clientAuth === 'none' ? undefined : certificateOf(socket))
      this.note(socket, 'certificate', bad)
      socket.on('error', ignore)
      socket.destroy()
    })
    server.on('tlsClientError', (error, socket) => {
      const { code, reason = error.message } = error as { code?: string; reason?: string }
      this.note(socket, 'handshake', code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? this.noneInTime() : reason)
      socket.destroy()
    })
    return server
  }

  private badCertificate(socket: tls.TLSSocket): string | undefined {
    const { clientAuth } = this.options
    if (clientAuth === 'none' || socket.authorized) return undefined
    if (certificateOf(socket) === undefined) return clientAuth === 'need' ? 'no certificate' : undefined
    const error: unknown = socket.authorizationError
    return error instanceof Error ? ((error as { code?: string }).code ?? error.message) : String(error)
  }

  private arrived(socket: net.Socket, secure: tls.Server, accept: Accept): void {
    const { handshakesMax, refused } = this.options
    const { remoteAddress: address, remotePort: port } = new NodeConnection(socket)
    socket.on('error', ignore)
    if (handshakesMax > 0 && this.handshakes >= handshakesMax) {
      socket.destroy()
      return refused({ kind: 'handshakes-max', address, port, reason: `${handshakesMax} handshakes are under way` })
    }
    const arrival: Arrival = { address, port, kind: 'handshake', reason: 'the client went before it was done' }
    const key = keyOf(address, port)
    this.arrivals.set(key, arrival)
    socket.once('close', () => {
      if (this.arrivals.get(key) !== arrival) return
      this.arrivals.delete(key)
      refused({ kind: arrival.kind, address, port, reason: arrival.reason })
    })
    this.sniff(socket, (first) => this.begin(socket, first, secure, accept))
  }

  private begin(socket: net.Socket, first: number, secure: tls.Server, accept: Accept): void {
    if (first === TLS_HANDSHAKE) secure.emit('connection', socket)
    else if (this.options.alsoPlain) this.take(socket, accept, undefined)
    else {
      this.note(socket, 'plain-text', 'the first byte is none of TLS')
      socket.destroy()
    }
  }

  /** The first byte tells TLS from everything else; it stays to be read. */
  private sniff(socket: net.Socket, found: (byte: number) => void): void {
    const late = (): void => {
      this.note(socket, 'handshake', this.noneInTime())
      socket.destroy()
    }
    socket.setTimeout(this.options.handshakeMs, late)
    socket.once('readable', () => {
      socket.setTimeout(0)
      socket.off('timeout', late)
      const chunk = socket.read() as Buffer | null
      if (chunk === null) return void socket.destroy()
      socket.unshift(chunk)
      found(chunk[0] as number)
    })
  }

  private noneInTime(): string {
    return `not done within ${this.options.handshakeMs} ms`
  }

  /** What will be told when the socket is closed. */
  private note(socket: net.Socket, kind: TlsRefusal['kind'], reason: string): void {
    const arrival = this.arrivals.get(keyOfSocket(socket))
    if (arrival !== undefined) Object.assign(arrival, { kind, reason })
  }

  private take(socket: net.Socket, accept: Accept, certificate: Uint8Array | undefined): void {
    this.arrivals.delete(keyOfSocket(socket))
    const connection = new NodeConnection(socket, certificate)
    connection.report(accept(connection))
  }
}

function keyOf(address: string, port: number): string {
  return `${address} ${port}`
}

function keyOfSocket(socket: net.Socket): string {
  const { remoteAddress, remotePort } = new NodeConnection(socket)
  return keyOf(remoteAddress, remotePort)
}

function certificateOf(socket: tls.TLSSocket): Uint8Array | undefined {
  return socket.getPeerX509Certificate()?.raw
}

function checkMaterial(material: TlsMaterial): void {
  try {
    tls.createSecureContext({ ...material })
  } catch (error) {
    throw new DelosError('INVALID_ARGUMENT', `certificate or key can't be used: ${(error as Error).message}`, {
      cause: error,
    })
  }
  if (material.pfx === undefined && (material.cert === undefined || material.key === undefined)) {
    throw new DelosError('INVALID_ARGUMENT', 'TLS needs a certificate and its key')
  }
}

function ignore(): void {
  // The end of the socket is told by its close.
}
