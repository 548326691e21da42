// A program of our own over ZooKeeper's C client, the library below most other clients: it checks each answer itself.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { C_CLIENT_DIR, describeWith, peers } from './support/peers.ts'
import { TestServer } from './support/server.ts'
import { tempDir } from './support/temp-dir.ts'
import { within } from './support/wait.ts'
import { succeeded, ZkClient } from './support/zk-client.ts'

const STEPS = [
  'connect',
  'create',
  'get',
  'get of a node without data',
  'set',
  'children',
  'watch',
  'multi',
  'multi that fails changes nothing',
  'ephemeral',
  'ephemeral goes with its session',
  'close',
]

interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

async function run(program: string, args: readonly string[]): Promise<Outcome> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString('utf8')
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString('utf8')
  })
  try {
    const [code] = (await within(once(child, 'close'), 60_000, `end of ${program}`)) as [number | null]
    return { code, out, err }
  } finally {
    child.kill('SIGKILL')
  }
}

async function compile(): Promise<string> {
  const binary = join(tempDir('c-client'), 'c-client')
  const source = join(C_CLIENT_DIR, 'c-client.c')
  // Without THREADED the header leaves the synchronous calls out.
  const flags = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-O1', '-DTHREADED', '-pthread']
  expect(await run('cc', [...flags, '-o', binary, source, '-lzookeeper_mt'])).toEqual({ code: 0, out: '', err: '' })
  return binary
}

describeWith(peers.cClient, 'a program over libzookeeper_mt', () => {
  it('creates, reads, writes, lists, watches and closes as with a ZooKeeper', async () => {
    const [program, server] = await Promise.all([compile(), TestServer.start()])
    await using _server = server
    const { code, out, err } = await run(program, [`127.0.0.1:${server.port}`])
    expect(err).toBe('')
    expect(out.trimEnd().split('\n')).toEqual(STEPS)
    expect(code).toBe(0)
    await using client = await ZkClient.connect(server.port)
    expect(succeeded(await client.getChildren('/c'))).toEqual(['n'])
    expect(succeeded(await client.getData('/c/n')).data?.toString()).toBe('multi')
  })
})
