// Curator's recipes, unmodified, in a program of our own (peers/curator/): several clients each, contention, and sessions that
// end in the middle. Verified against a real ZooKeeper with DELOS_TEST_PEER=zookeeper.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { CURATOR_DIR, CURATOR_JAR, describeWith, peers } from './support/peers.ts'
import { TestServer } from './support/server.ts'
import { tempDir } from './support/temp-dir.ts'
import { eventually, within } from './support/wait.ts'
import { ZkClient } from './support/zk-client.ts'

const RECIPES = [
  'lock',
  'lock of a session that was closed',
  'lock of a process that died',
  'read and write lock',
  'lock that is not of a thread',
  'several locks as one',
  'semaphore',
  'semaphore under contention',
  'leader latch',
  'leader selector',
  'leader whose process died',
  'cache of children',
  'cache of a node',
  'cache of a tree',
  'cache by a persistent watch',
  'counter',
  'shared count',
  'barrier',
  'double barrier',
  'queue',
  'queue whose consumer loses its session',
  'queue by identity',
  'queue by priority',
  'queue by time',
  'simple queue',
  'group member',
  'persistent node',
  'persistent watcher',
  'persistent recursive watcher',
  'persistent node with a time to live',
  'transaction',
  'create with all that the framework adds',
]

function compile(): string {
  const classes = tempDir('curator')
  const sources = readdirSync(CURATOR_DIR).filter((file) => file.endsWith('.java'))
  const flags = ['-nowarn', '-XDignore.symbol.file', '-Xlint:-deprecation', '-cp', CURATOR_JAR, '-d', classes]
  execFileSync('/usr/bin/javac', [...flags, ...sources.map((file) => join(CURATOR_DIR, file))], { stdio: 'pipe' })
  return classes
}

/** What the program says of each recipe; without names of all of them. */
async function play(classes: string, port: number, names: readonly string[] = []): Promise<Map<string, string>> {
  const machine = [
    '-Xmx256m',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Dorg.slf4j.simpleLogger.defaultLogLevel=off',
  ]
  const classPath = [classes, CURATOR_JAR, '/usr/share/java/slf4j-simple.jar'].join(':')
  const child = spawn('/usr/bin/java', [...machine, '-cp', classPath, 'Recipes', `127.0.0.1:${port}`, ...names], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8')
  })
  try {
    await within(once(child, 'close'), 150_000, 'end of the recipes')
  } finally {
    child.kill('SIGKILL')
  }
  const outcomes = text.trimEnd().split('\n')
  return new Map(outcomes.map((line) => [line.replace(/^(ok|failed) |: .*$/g, ''), line]))
}

const OPTIONS = { tickMs: 200, sessionTimeoutMinMs: 1000, sessionTimeoutMaxMs: 60_000, containerCheckMs: 500 }

/** How often the recipe `lock` went round. */
async function rounds(port: number): Promise<number> {
  await using client = await ZkClient.connect(port)
  return Number((await client.getData('/lock/counter')).value?.data?.toString() ?? 0)
}

describeWith(peers.curator, "Curator's recipes", () => {
  let classes: string
  let outcomes: Map<string, string>
  beforeAll(async () => {
    classes = compile()
    await using server = await TestServer.start(OPTIONS)
    outcomes = await play(classes, server.port)
  }, 240_000)

  it.each(RECIPES)('%s', (name) => {
    expect(outcomes.get(name)).toBe(`ok ${name}`)
  })

  it('are all named here', () => {
    expect([...outcomes.keys()].sort()).toEqual([...RECIPES].sort())
  })

  it('go on where they were when the server was killed and is back', async () => {
    await using server = await TestServer.start(OPTIONS)
    const names = ['lock', 'semaphore under contention']
    const played = play(classes, server.port, names)
    const underWay = async (): Promise<true | undefined> => ((await rounds(server.port)) >= 5 ? true : undefined)
    await eventually(underWay, 60_000, 'a lock that goes round')
    await server.kill()
    await server.restart()
    expect(await rounds(server.port)).toBeLessThan(48)
    expect([...(await played).values()].sort()).toEqual(names.map((name) => `ok ${name}`))
    expect(await rounds(server.port)).toBe(48)
  })
})
