// Stream sockets as servers need them. Nothing here knows a protocol.

/** What a connection tells its owner. Callbacks must not throw. */
export interface ConnectionEvents {
  /** Bytes arrived. The chunk belongs to the receiver until it returns; it may keep views of it. */
  data(chunk: Buffer): void
  /** Everything handed to `write` was passed to the system after `write` had answered false. */
  drain(): void
  /** The connection is gone, for whatever reason; called exactly once, last. */
  closed(error: Error | undefined): void
}

/** One accepted stream connection. */
export interface Connection {
  /** Address of the peer as text, without port: `127.0.0.1`, `::1`. */
  readonly remoteAddress: string
  readonly remotePort: number
  /** The client's certificate, DER, after TLS has checked it. */
  readonly peerCertificate?: Uint8Array | undefined
  /** Bytes handed to `write` and not yet taken by the system. */
  readonly bufferedBytes: number
  /**
   * Sends bytes, in order. False when more than the system's high-water mark is buffered: wait for `drain`.
   * `bytes` must not be changed by the caller afterwards.
   */
  write(bytes: Uint8Array): boolean
  /** Stops (resumes) delivery of `data`, so that the peer feels back-pressure. */
  pause(): void
  resume(): void
  /** Sends what is buffered, then closes. */
  end(): void
  /** Closes at once. */
  destroy(): void
}

/** A listening socket. */
export interface Listener {
  readonly host: string
  /** The real port, also when 0 was asked for. */
  readonly port: number
  /** Stops accepting; open connections stay. */
  close(): Promise<void>
}

/** Stream servers. */
export interface Network {
  /**
   * Listens; `accept` is called for every connection and returns what receives its events. Rejects with DelosError
   * IN_USE if the port is taken, INVALID_ARGUMENT if the address can't be bound.
   */
  listen(
    options: { host: string; port: number; backlog?: number },
    accept: (connection: Connection) => ConnectionEvents,
  ): Promise<Listener>
}
