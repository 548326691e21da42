// A way to a server that can be cut: connections end at once, and new ones end too until it is mended.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class CuttableProxy {
  private readonly listener: Server
  private readonly sockets = new Set<Socket>()
  private isCut = false

  private constructor(target: number) {
    this.listener = createServer((client) => {
      if (this.isCut) return client.destroy()
      const server = connect(target, '127.0.0.1')
      for (const [socket, other] of [
        [client, server],
        [server, client],
      ] as const) {
        this.sockets.add(socket)
        socket.setNoDelay(true)
        socket.pipe(other)
        socket.on('error', () => other.destroy())
        socket.on('close', () => {
          this.sockets.delete(socket)
          other.destroy()
        })
      }
    })
  }

  /** To this port of this machine. */
  static async open(target: number): Promise<CuttableProxy> {
    const proxy = new CuttableProxy(target)
    proxy.listener.listen(0, '127.0.0.1')
    await once(proxy.listener, 'listening')
    return proxy
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port
  }

  cut(): void {
    this.isCut = true
    for (const socket of this.sockets) socket.destroy()
  }

  mend(): void {
    this.isCut = false
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.listener.close()
    await once(this.listener, 'close')
  }
}
