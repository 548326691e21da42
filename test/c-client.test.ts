// A program of our own over ZooKeeper's C client, the library below most other clients: it checks each answer itself. What that
// library has no call for (persistent watches, whoAmI, ephemerals, counts of descendants) is shown with other clients.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { CuttableProxy } from './support/cuttable-proxy.ts'
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
  'containers, nodes with a time to live, and their modes',
  'identities and ACLs',
  'a scheme that there is not',
  'sync',
  'configuration',
  'chroot',
  'many requests at once, in order',
  'a large node, and one that is too large',
  'watches that are taken back',
  'a session comes back with what it owns, and hears what it missed',
  'watches that had nothing to tell are set again',
  'a session moves to the next address',
  'a session that was closed elsewhere is told so',
  'ephemeral',
  'ephemeral goes with its session',
  'close',
]

interface Outcome {
  readonly code: number | null
  readonly out: string[]
  readonly err: string
}

/** Runs it; what it asks for with `@WORD` is done, and answered by a line. */
async function run(program: string, args: readonly string[], asked?: (word: string) => void): Promise<Outcome> {
  const child = spawn(program, args)
  const out: string[] = []
  let err = ''
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!line.startsWith('@')) return out.push(line)
    asked?.(line.slice(1))
    return child.stdin.write('done\n')
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString('utf8')
  })
  try {
    const [code] = (await within(once(child, 'close'), 120_000, `end of ${program}`)) as [number | null]
    return { code, out, err }
  } finally {
    child.kill('SIGKILL')
  }
}

async function compile(): Promise<string> {
  const binary = join(tempDir('c-client'), 'c-client')
  const sources = readdirSync(C_CLIENT_DIR).filter((file) => file.endsWith('.c'))
  // Without THREADED the header leaves the synchronous calls out.
  const flags = ['-std=gnu11', '-Wall', '-Wextra', '-Werror', '-O1', '-DTHREADED', '-pthread']
  const args = [...flags, '-o', binary, ...sources.map((file) => join(C_CLIENT_DIR, file)), '-lzookeeper_mt']
  expect(await run('cc', args)).toEqual({ code: 0, out: [], err: '' })
  return binary
}

describeWith(peers.cClient, 'a program over libzookeeper_mt', () => {
  it('is answered as by a ZooKeeper, also over connections that end', async () => {
    const program = await compile()
    await using server = await TestServer.start({ flags: ['--reconfig-enabled', 'true'] })
    await using proxy = await CuttableProxy.open(server.port)
    const addresses = [`127.0.0.1:${server.port}`, `127.0.0.1:${proxy.port}`]
    const { code, out, err } = await run(program, addresses, (word) => (word === 'cut' ? proxy.cut() : proxy.mend()))
    expect(err).toBe('')
    expect(out).toEqual(STEPS)
    expect(code).toBe(0)
    await using client = await ZkClient.connect(server.port)
    expect(succeeded(await client.getChildren('/c'))).toContain('n')
    expect(succeeded(await client.getData('/c/n')).data?.toString()).toBe('multi')
  })
})
