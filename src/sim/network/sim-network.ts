// The simulated network: machines that listen and connect by name, and cuts between them. Streams are sim-endpoint.ts.

import { assert } from '../../base/assert.ts'
import { DelosError } from '../../base/delos-error.ts'
import type { Connection, ConnectionEvents, Listener, Network } from '../../runtime/network.ts'
import type { NetworkFaults } from '../faults.ts'
import type { Life } from '../life.ts'
import type { SeededRandom } from '../seeded-random.ts'
import type { EventQueue } from '../time/event-queue.ts'
import type { Trace } from '../trace.ts'
import { type Address, SimEndpoint, type StreamParts } from './sim-endpoint.ts'

const FIRST_FREE_PORT = 20_000

type Accept = (connection: Connection) => ConnectionEvents

interface Listening {
  readonly host: SimHost
  readonly accept: Accept
}

/** What a simulated network is made of. */
export interface SimNetworkParts {
  readonly queue: EventQueue
  readonly random: SeededRandom
  readonly trace: Trace
  readonly faults: () => NetworkFaults
}

/** All machines and streams of one simulated world. */
export class SimNetwork {
  private readonly parts: SimNetworkParts
  private readonly listening = new Map<string, Listening>()
  private readonly endpoints = new Set<SimEndpoint>()
  private readonly cuts = new Set<string>()
  private readonly addresses = new Map<string, string>()
  private nextPort = FIRST_FREE_PORT

  constructor(parts: SimNetworkParts) {
    this.parts = parts
  }

  /** The network as one life of the machine `name` sees it. */
  host(name: string, life: Life): SimHost {
    let address = this.addresses.get(name)
    if (address === undefined) {
      address = `10.0.0.${this.addresses.size + 1}`
      this.addresses.set(name, address)
    }
    return new SimHost(this, name, address, life)
  }

  /** Nothing passes between the two machines until healed; streams wait. */
  cut(one: string, other: string): void {
    this.parts.trace.note('cut', `${one} ${other}`)
    this.cuts.add(pair(one, other))
  }

  heal(one: string, other: string): void {
    this.parts.trace.note('heal', `${one} ${other}`)
    this.cuts.delete(pair(one, other))
    for (const endpoint of this.endpoints) endpoint.move()
  }

  /** @internal */
  listen(host: SimHost, wanted: number, accept: Accept): number {
    const port = wanted === 0 ? this.nextPort++ : wanted
    const key = `${host.name}:${port}`
    if (this.listening.has(key)) throw new DelosError('IN_USE', `listen on ${key}: another listens`)
    this.listening.set(key, { host, accept })
    return port
  }

  /** @internal */
  unlisten(host: SimHost, port: number): void {
    const key = `${host.name}:${port}`
    if (this.listening.get(key)?.host === host) this.listening.delete(key)
  }

  /** @internal */
  connect(from: SimHost, to: string, port: number, eventsOf: Accept): Promise<SimEndpoint> {
    const { queue, random, faults, trace } = this.parts
    return new Promise<SimEndpoint>((resolve, reject) => {
      queue.schedule(random.latency(faults().latencyMsMin, faults().latencyMsMax), () => {
        const target = this.listening.get(`${to}:${port}`)
        if (target === undefined || !target.host.alive || !from.alive || this.cuts.has(pair(from.name, to))) {
          reject(new DelosError('IO_ERROR', `connect to ${to}:${port}: refused`))
          return
        }
        // A process that stands still accepts afterwards.
        target.host.pass(() => {
          trace.note('connect', `${from.name} ${to}:${port}`)
          resolve(this.join(from, target, port, eventsOf))
        })
      })
    })
  }

  private join(from: SimHost, { host, accept }: Listening, port: number, eventsOf: Accept): SimEndpoint {
    const parts: StreamParts = {
      ...this.parts,
      cut: () => this.cuts.has(pair(from.name, host.name)),
      note: (what, detail) => this.parts.trace.note(what, detail),
    }
    const client = from.endpoint(parts, { address: host.address, port })
    const server = host.endpoint(parts, { address: from.address, port: this.nextPort++ })
    this.endpoints.add(client)
    this.endpoints.add(server)
    for (const endpoint of this.endpoints) if (endpoint.isClosed) this.endpoints.delete(endpoint)
    server.attach(client, accept(server))
    client.attach(server, eventsOf(client))
    return client
  }
}

/** One machine's access to the network; ends with its life. */
export class SimHost implements Network {
  readonly name: string
  readonly address: string
  private readonly network: SimNetwork
  private readonly life: Life
  private readonly owned = new Set<SimEndpoint>()

  constructor(network: SimNetwork, name: string, address: string, life: Life) {
    this.network = network
    this.name = name
    this.address = address
    this.life = life
    life.onEnd(() => {
      for (const endpoint of this.owned) endpoint.abandon()
    })
    life.onGoOn(() => {
      for (const endpoint of this.owned) endpoint.goOn()
    })
  }

  get alive(): boolean {
    return this.life.alive
  }

  /** Listens on this machine, whatever `host` says. */
  async listen(options: { host: string; port: number }, accept: Accept): Promise<Listener> {
    assert(this.alive, 'a dead process listens')
    const port = this.network.listen(this, options.port, accept)
    this.life.onEnd(() => this.network.unlisten(this, port))
    return {
      host: options.host,
      port,
      close: async () => this.network.unlisten(this, port),
    }
  }

  /** Connects to a port of the machine `to`; `eventsOf` receives the stream. Rejects with IO_ERROR if nobody listens. */
  connect(to: string, port: number, eventsOf: Accept): Promise<SimEndpoint> {
    return this.network.connect(this, to, port, eventsOf)
  }

  /** @internal Does `action` as soon as this process runs. */
  pass(action: () => void): void {
    this.life.pass(action)
  }

  /** @internal An end of a stream that this process owns. */
  endpoint(parts: StreamParts, remote: Address): SimEndpoint {
    for (const old of this.owned) if (old.isClosed) this.owned.delete(old)
    const endpoint = new SimEndpoint(parts, remote, this.life)
    this.owned.add(endpoint)
    return endpoint
  }
}

function pair(one: string, other: string): string {
  return one < other ? `${one}|${other}` : `${other}|${one}`
}
