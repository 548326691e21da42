// ZooKeeper's own Java client: watches that stay, over a cut connection and over a restart of the server.

import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { beforeAll, expect, it } from 'vitest'
import { CuttableProxy } from './support/cuttable-proxy.ts'
import { describeWith, JAVA_CLIENT_DIR, peers, ZOOKEEPER_JAR } from './support/peers.ts'
import { TestServer } from './support/server.ts'
import { tempDir } from './support/temp-dir.ts'
import { within } from './support/wait.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'

/** The program, and what it has said. */
class JavaClient {
  private readonly child: ChildProcessWithoutNullStreams
  private readonly said: string[] = []
  private signal: (() => void) | undefined

  constructor(classes: string, port: number, persistent: string, recursive: string) {
    const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=off'
    const args = ['-Xmx128m', quiet, '-cp', `${classes}:${ZOOKEEPER_JAR}`, 'PersistentWatches', `127.0.0.1:${port}`]
    this.child = spawn('/usr/bin/java', [...args, persistent, recursive])
    this.child.stderr.resume()
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      if (line.startsWith('state ')) return
      this.said.push(line)
      this.signal?.()
    })
  }

  do(line: string): void {
    this.child.stdin.write(`${line}\n`)
  }

  /** So many lines, in the order of its saying them. */
  async takes(count: number): Promise<string[]> {
    while (this.said.length < count) {
      const more = new Promise<void>((resolve) => {
        this.signal = resolve
      })
      await within(more, 60_000, `line ${this.said.length + 1} of ${count} after ${JSON.stringify(this.said)}`)
    }
    return this.said.splice(0, count)
  }

  [Symbol.dispose](): void {
    this.child.kill('SIGKILL')
  }
}

describeWith(peers.javaClient, 'watches that stay, set by the Java client', () => {
  let classes: string
  beforeAll(() => {
    classes = tempDir('java-client')
    const source = join(JAVA_CLIENT_DIR, 'PersistentWatches.java')
    execFileSync('/usr/bin/javac', ['-nowarn', '-cp', ZOOKEEPER_JAR, '-d', classes, source])
  }, 60_000)

  it('hear every change, also those of a time without connection, once and in order, until they are removed', async () => {
    await using server = await TestServer.start()
    await using proxy = await CuttableProxy.open(server.port)
    await using writer = await ZkClient.connect(server.port)
    for (const path of ['/p', '/r', '/r/old']) succeeded(await writer.create(path))
    using client = new JavaClient(classes, proxy.port, '/p', '/r')
    expect(await client.takes(1)).toEqual(['watching'])
    succeeded(await writer.setData('/p', '1'))
    succeeded(await writer.create('/r/new'))
    expect(await client.takes(2)).toEqual(['persistent NodeDataChanged /p', 'recursive NodeCreated /r/new'])
    client.do('read /p')
    expect(await client.takes(1)).toEqual(['read'])

    proxy.cut()
    succeeded(await writer.setData('/p', '2'))
    succeeded(await writer.setData('/p', '3'))
    succeeded(await writer.create('/p/child'))
    succeeded(await writer.delete('/r/old'))
    succeeded(await writer.create('/r/new/below'))
    succeeded(await writer.delete('/p/child'))
    succeeded(await writer.delete('/p'))
    succeeded(await writer.setData('/r/new/below', '1'))
    proxy.mend()
    expect(await client.takes(8)).toEqual([
      'persistent NodeDataChanged /p',
      'persistent NodeDataChanged /p',
      'persistent NodeChildrenChanged /p',
      'recursive NodeDeleted /r/old',
      'recursive NodeCreated /r/new/below',
      'persistent NodeChildrenChanged /p',
      'persistent NodeDeleted /p',
      'recursive NodeDataChanged /r/new/below',
    ])

    succeeded(await writer.create('/p'))
    expect(await client.takes(1)).toEqual(['persistent NodeCreated /p'])
    // The library tells its watches and its caller on threads of their own.
    client.do('remove /p')
    expect((await client.takes(2)).sort()).toEqual(['persistent PersistentWatchRemoved /p', 'removed'])
    client.do('remove /p')
    expect(await client.takes(1)).toEqual(['error NOWATCHER'])
    client.do('remove /r')
    expect((await client.takes(2)).sort()).toEqual(['recursive PersistentWatchRemoved /r', 'removed'])
    succeeded(await writer.setData('/p', '4'))
    succeeded(await writer.setData('/r', '4'))
    client.do('read /r')
    client.do('quit')
    expect(await client.takes(2)).toEqual(['read', 'closed'])
  })

  it('hear every change of a time without connection also from a server that was started anew, and stay', async () => {
    await using server = await TestServer.start()
    await using proxy = await CuttableProxy.open(server.port)
    {
      await using writer = await ZkClient.connect(server.port)
      for (const path of ['/p', '/r', '/r/old']) succeeded(await writer.create(path))
    }
    using client = new JavaClient(classes, proxy.port, '/p', '/r')
    expect(await client.takes(1)).toEqual(['watching'])
    proxy.cut()
    {
      await using writer = await ZkClient.connect(server.port)
      succeeded(await writer.setData('/p', '1'))
      succeeded(await writer.setData('/p', '2'))
      succeeded(await writer.create('/r/new'))
    }
    await server.stop()
    await server.restart()
    proxy.mend()
    const changed = 'persistent NodeDataChanged /p'
    expect(await client.takes(3)).toEqual([changed, changed, 'recursive NodeCreated /r/new'])
    await using writer = await ZkClient.connect(server.port)
    succeeded(await writer.delete('/p'))
    succeeded(await writer.delete('/r/new'))
    expect(await client.takes(2)).toEqual(['persistent NodeDeleted /p', 'recursive NodeDeleted /r/new'])
  })
})
