// Programs that some tests need and that npm does not install. Without one, its tests are skipped with the line that
// installs it; with CI=true they fail instead, so that a run which counts never passes by leaving things out.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'vitest'

export interface Peer {
  readonly name: string
  readonly install: string
  readonly present: () => boolean
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** Where Debian's package puts the jar; its manifest names the jars it needs. */
export const ZOOKEEPER_JAR = '/usr/share/java/zookeeper.jar'
export const ZKCLI = '/usr/share/zookeeper/bin/zkCli.sh'
export const KAZOO_TESTS = '/usr/lib/python3/dist-packages/kazoo/tests'
export const NPM_ZOOKEEPER_DIR = here('../peers/zookeeper')

export const C_CLIENT_DIR = here('../peers/c-client')

export const S3RVER_DIR = here('../peers/s3rver')

export const KAZOO_CLIENT_DIR = here('../peers/kazoo-client')

export const JAVA_CLIENT_DIR = here('../peers/java-client')

/** Its manifest names the other jars of Curator. */
export const CURATOR_JAR = '/usr/share/java/curator-recipes.jar'
export const CURATOR_DIR = here('../peers/curator')

export const peers = {
  zookeeper: {
    name: 'ZooKeeper 3.8 with zkCli.sh',
    install: 'apt-get install zookeeper',
    present: () => existsSync(ZOOKEEPER_JAR) && existsSync(ZKCLI) && existsSync('/usr/bin/java'),
  },
  kazoo: {
    name: "kazoo's test suite",
    install: 'apt-get install python3-kazoo python3-pytest python3-pytest-timeout python3-mock python3-objgraph',
    present: () =>
      existsSync(KAZOO_TESTS) && ['pytest', 'pytest_timeout.py', 'mock', 'objgraph.py'].every(hasPythonModule),
  },
  npmZookeeper: {
    name: "the npm package 'zookeeper'",
    install: 'npm ci --prefix test/peers/zookeeper   (needs a C compiler, make and Python)',
    present: () => existsSync(`${NPM_ZOOKEEPER_DIR}/node_modules/zookeeper/build/Release/zookeeper.node`),
  },
  s3rver: {
    name: "the npm package 's3rver'",
    install: 'npm ci --prefix test/peers/s3rver',
    present: () => existsSync(`${S3RVER_DIR}/node_modules/s3rver/package.json`),
  },
  javaClient: {
    name: "ZooKeeper's Java client and a Java compiler",
    install: 'apt-get install libzookeeper-java default-jdk-headless',
    present: () => existsSync(ZOOKEEPER_JAR) && existsSync('/usr/bin/java') && existsSync('/usr/bin/javac'),
  },
  curator: {
    name: "Curator's recipes and a Java compiler",
    install: 'apt-get install libcurator-recipes-java default-jdk-headless',
    present: () => existsSync(CURATOR_JAR) && existsSync('/usr/bin/java') && existsSync('/usr/bin/javac'),
  },
  cClient: {
    name: "ZooKeeper's C client",
    install: 'apt-get install libzookeeper-mt-dev gcc libc6-dev',
    present: () => existsSync('/usr/include/zookeeper/zookeeper.h') && existsSync('/usr/bin/cc'),
  },
} as const satisfies Record<string, Peer>

function hasPythonModule(module: string): boolean {
  return existsSync(`/usr/lib/python3/dist-packages/${module}`)
}

/** Like `describe`, for tests that need the peer. */
export function describeWith(peer: Peer, name: string, tests: () => void): void {
  if (peer.present()) {
    describe(name, tests)
    return
  }
  const missing = `${peer.name} is missing: ${peer.install}`
  describe(name, () => {
    it(`needs ${peer.name}`, (context) => {
      if (process.env.CI === 'true') throw new Error(missing)
      console.warn(`skipped: ${name}: ${missing}`)
      context.skip(missing)
    })
  })
}
