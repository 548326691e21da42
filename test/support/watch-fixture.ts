// A server with two clients, one that watches and one that writes, for tests of watches; and what has fired.

import { afterAll, beforeAll } from 'vitest'
import { type ServerOptions, TestServer } from './server.ts'
import { succeeded, ZkClient } from './zk-client.ts'

export interface WatchFixture {
  readonly server: TestServer
  readonly watcher: ZkClient
  readonly writer: ZkClient
  /** A node of its own for each test, with the data 0. */
  makeRoot(): Promise<string>
  /** What has fired since the last call: the client's sync makes sure that nothing is still under way. Default: the watcher. */
  fired(client?: ZkClient): Promise<[type: number, path: string][]>
}

/** One for all tests of the file that calls this; `opened` is told before they run. */
export function watchFixture(options: ServerOptions, opened: (fixture: WatchFixture) => void): void {
  let server: TestServer | undefined
  let nextRoot = 0
  beforeAll(async () => {
    const started = await TestServer.start(options)
    server = started
    const watcher = await ZkClient.connect(started.port)
    const writer = await ZkClient.connect(started.port)
    opened({
      server: started,
      watcher,
      writer,
      makeRoot: async () => {
        const root = `/watches-${nextRoot++}`
        succeeded(await writer.create(root, '0'))
        return root
      },
      fired: async (client = watcher) => {
        succeeded(await client.sync('/'))
        return client.events.splice(0).map(({ type, path }) => [type, path])
      },
    })
  })
  afterAll(() => server?.[Symbol.asyncDispose]())
}
