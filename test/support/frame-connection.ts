// One TCP connection that speaks length-prefixed frames and nothing more: tests that send damaged bytes use it directly.

import { connect, type Socket } from 'node:net'
import { within } from './wait.ts'

export class FrameConnection {
  /** Resolves when the connection is closed, by whichever side; never rejects. */
  readonly closed: Promise<void>
  isClosed = false
  /** When set, frames go there as they arrive, otherwise `nextFrame` hands them out. */
  onFrame: ((frame: Buffer) => void) | undefined
  private readonly socket: Socket
  private pending: Buffer = Buffer.alloc(0)
  private readonly frames: Buffer[] = []
  private waiting: ((frame: Buffer | undefined) => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.receive(chunk))
    // A reset is one of the ways a server closes; 'close' follows and is what the tests look at.
    socket.on('error', () => undefined)
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.isClosed = true
        this.waiting?.(undefined)
        resolve()
      })
    })
  }

  /** Over a socket that may still be on its way: TLS, for example. */
  static of(socket: Socket): FrameConnection {
    return new FrameConnection(socket)
  }

  static open(port: number, deadlineMs = 10_000): Promise<FrameConnection> {
    const opened = new Promise<FrameConnection>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1' })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new FrameConnection(socket)))
    })
    return within(opened, deadlineMs, `connection to port ${port}`)
  }

  /** Sends the bytes as they are. */
  write(bytes: Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(bytes)
  }

  /** Sends the body behind its length. */
  writeFrame(body: Uint8Array): void {
    const frame = Buffer.allocUnsafe(4 + body.length)
    frame.writeInt32BE(body.length)
    frame.set(body, 4)
    this.write(frame)
  }

  /** The next frame's body, or undefined when the server has closed. One caller at a time. */
  nextFrame(deadlineMs = 10_000): Promise<Buffer | undefined> {
    const frame = this.frames.shift()
    if (frame !== undefined || this.isClosed) return Promise.resolve(frame)
    const next = new Promise<Buffer | undefined>((resolve) => {
      this.waiting = resolve
    })
    return within(next, deadlineMs, 'frame from the server').finally(() => {
      this.waiting = undefined
    })
  }

  /** Everything the server sends until it closes, unframed: for four-letter words. */
  async readToEnd(deadlineMs = 10_000): Promise<string> {
    const chunks: Buffer[] = [this.pending]
    this.socket.removeAllListeners('data')
    this.socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    await within(this.closed, deadlineMs, 'end of the answer')
    return Buffer.concat(chunks).toString('utf8')
  }

  /** Sends a FIN and keeps reading. */
  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  private receive(chunk: Buffer): void {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk])
    for (;;) {
      if (this.pending.length < 4) return
      const length = this.pending.readInt32BE(0)
      if (length < 0) throw new RangeError(`the server sent a frame of length ${length}`)
      if (this.pending.length < 4 + length) return
      const frame = this.pending.subarray(4, 4 + length)
      this.pending = this.pending.subarray(4 + length)
      this.deliver(frame)
    }
  }

  private deliver(frame: Buffer): void {
    if (this.onFrame !== undefined) this.onFrame(frame)
    else if (this.waiting !== undefined) {
      this.waiting(frame)
      this.waiting = undefined
    } else this.frames.push(frame)
  }
}

/** A four-letter word's whole answer. */
export async function fourLetterWord(port: number, word: string, deadlineMs = 10_000): Promise<string> {
  const connection = await FrameConnection.open(port, deadlineMs)
  try {
    const answer = connection.readToEnd(deadlineMs)
    connection.write(Buffer.from(word, 'ascii'))
    return await answer
  } finally {
    connection.destroy()
  }
}
