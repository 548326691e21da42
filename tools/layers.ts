// The layers of the source tree as data: what each is for, whom it may import, what of the outside world it may touch. The
// one table behind tidy.test.ts and the layer table of ARCHITECTURE.md. Not here: how the rules are checked (layer-rules.ts).

/** What of the outside world a layer may use without being handed it. */
export type Ambient =
  /** Deterministic zone: no clock, timer, chance, locale, process or `node:` module. */
  | 'deterministic'
  /** No clock, timer, chance or process; of `node:` only what computes (PURE_NODE_MODULES). */
  | 'pure'
  /** Anything. */
  | 'free'

export interface Layer {
  /** Folder under `src/`. */
  readonly name: string
  /** `singular`: a contract and the mechanism that needs no choice. `plural`: one subfolder per interchangeable implementation. */
  readonly folder: 'singular' | 'plural'
  readonly purpose: string
  /** Layers that it may import. A layer always may import itself. */
  readonly imports: readonly string[]
  /** Layers, or single modules, of which it may use types only. */
  readonly types?: readonly string[]
  readonly ambient: Ambient
  /** npm packages that it may import. */
  readonly packages?: readonly string[]
}

const LOG_SIDE = ['base', 'runtime', 'log']
const DATABASE_SIDE = ['base', 'runtime', 'store', 'engine']

/** Every folder of `src/`, bottom to top; a name with a slash is a part of a layer with rules of its own. */
export const LAYERS: readonly Layer[] = [
  {
    name: 'base',
    folder: 'singular',
    purpose: 'assertions, bytes, keys, the list of error codes',
    imports: [],
    ambient: 'deterministic',
  },
  {
    name: 'runtime',
    folder: 'singular',
    purpose: 'clock, timers, chance, disk and network behind interfaces; the production side',
    imports: ['base'],
    ambient: 'free',
  },
  {
    name: 'log/chain',
    folder: 'singular',
    purpose: 'the chain of segments: a value and the rules by which it changes',
    imports: ['base', 'log'],
    ambient: 'deterministic',
  },
  {
    name: 'log',
    folder: 'singular',
    purpose: 'contracts of loglet, metastore and shared log; the virtual log',
    imports: ['base', 'runtime', 'log/chain'],
    ambient: 'pure',
  },
  {
    name: 'loglets',
    folder: 'plural',
    purpose: 'logs that can be sealed',
    imports: LOG_SIDE,
    ambient: 'pure',
  },
  {
    name: 'metastores',
    folder: 'plural',
    purpose: 'the versioned register that holds the chain',
    imports: LOG_SIDE,
    ambient: 'pure',
  },
  {
    name: 'store',
    folder: 'singular',
    purpose: 'the LocalStore: an ordered byte map, in memory and on RocksDB',
    imports: ['base', 'runtime'],
    ambient: 'pure',
    packages: ['@nxtedition/rocksdb'],
  },
  {
    name: 'blobs',
    folder: 'singular',
    purpose: 'object storage: whole named blobs in a directory or a bucket, packed and sealed',
    imports: ['base', 'runtime'],
    ambient: 'pure',
    packages: ['@aws-sdk/client-s3'],
  },
  {
    name: 'engine',
    folder: 'singular',
    purpose: 'the contract of engines, entries and their codec, stack composition',
    imports: ['base', 'runtime', 'log', 'store'],
    ambient: 'deterministic',
  },
  {
    name: 'engines',
    folder: 'plural',
    purpose: 'log-structured protocols, stacked between database and log',
    imports: ['base', 'runtime', 'log', 'store', 'engine'],
    types: ['blobs'],
    ambient: 'deterministic',
  },
  {
    name: 'zelos',
    folder: 'singular',
    purpose: "ZooKeeper's data model, sessions and watches as a database on the log",
    imports: DATABASE_SIDE,
    types: ['log'],
    ambient: 'deterministic',
  },
  {
    name: 'table',
    folder: 'singular',
    purpose: 'typed tables with transactions, secondary indexes and a change feed as a database on the log',
    imports: DATABASE_SIDE,
    types: ['log'],
    ambient: 'deterministic',
  },
  {
    name: 'zookeeper/codec',
    folder: 'singular',
    purpose: "ZooKeeper's messages as bytes",
    imports: ['base'],
    ambient: 'pure',
  },
  {
    name: 'zookeeper',
    folder: 'singular',
    purpose: "ZooKeeper's wire protocol: connections, requests, four-letter words",
    imports: ['base', 'runtime', 'zelos', 'zookeeper/codec'],
    types: ['engine'],
    ambient: 'pure',
  },
  {
    name: 'node',
    folder: 'singular',
    purpose: 'the composition root: settings, data directories, databases, HTTP, metrics',
    imports: [
      'base',
      'runtime',
      'log',
      'log/chain',
      'loglets',
      'metastores',
      'store',
      'blobs',
      'engine',
      'engines',
      'zelos',
      'table',
      'zookeeper',
    ],
    ambient: 'free',
    packages: ['fastify', 'pino', 'prom-client', 'yaml', 'zod'],
  },
  {
    name: 'cli',
    folder: 'singular',
    purpose: 'the command `delos`',
    imports: ['base', 'node'],
    ambient: 'free',
    packages: ['commander', 'yaml'],
  },
  {
    name: 'sim',
    folder: 'singular',
    purpose: 'a seeded world in place of the runtime, checkers, planted bugs; the test kit of the package',
    imports: [
      'base',
      'runtime',
      'log',
      'log/chain',
      'loglets',
      'metastores',
      'store',
      'blobs',
      'engine',
      'engines',
      'zelos',
      'table',
      'zookeeper',
      'zookeeper/codec',
      'node',
    ],
    ambient: 'free',
    packages: ['commander'],
  },
]

/**
 * Modules outside the plural folders that implement a contract to choose from. Like everything in a plural folder, only the
 * composition root, the simulator, tests and their own folder may name them.
 */
export const IMPLEMENTATION_MODULES: readonly RegExp[] = [
  /^src\/store\/(memory|rocks)[-a-z]*(\.ts$|\/)/,
  /^src\/blobs\/(memory|directory|s3)-[-a-z]*\.ts$/,
]

/** Layers that may name an implementation. */
export const COMPOSITION_LAYERS: readonly string[] = ['node', 'sim']

/** Modules that nothing imports because something else starts there. */
export const ENTRY_POINTS: readonly string[] = [
  'src/node/index.ts', // package export `delos`
  'src/engine/index.ts', // package export `delos/engine`
  'src/log/index.ts', // package export `delos/log`
  'src/store/index.ts', // package export `delos/store`
  'src/table/index.ts', // package export `delos/table`
  'src/sim/testing.ts', // package export `delos/testing`
  'src/cli/main.ts', // bin `delos`
  'src/sim/main.ts', // npm run sim
  'bench/main.ts', // npm run bench
  'bench/engines-server.ts', // started by bench/engines.ts
  'bench/engines-load.ts', // started by bench/engines.ts
  'bench/table-load.ts', // started by bench/table.ts
  'vitest.config.ts',
]

/** Folders outside `src/` that may import anything and that `src/` never imports. */
export const OUTER_FOLDERS: readonly string[] = ['test', 'bench', 'examples', 'tools']

/**
 * Modules of `node:` that only compute, with the names that may be used of them (undefined: all). Everything else of Node is
 * the outside world and stays behind the runtime's interfaces.
 */
export const PURE_NODE_MODULES: Readonly<Record<string, readonly string[] | undefined>> = {
  'node:buffer': undefined,
  'node:crypto': ['createCipheriv', 'createDecipheriv', 'createHash', 'createHmac', 'hkdfSync', 'timingSafeEqual'],
  'node:zlib': [
    'crc32',
    'inflateRaw',
    'inflateRawSync',
    'brotliCompress',
    'brotliCompressSync',
    'brotliDecompress',
    'brotliDecompressSync',
    'constants',
  ],
}

/** Modules that may touch the outside world although their layer may not, and what for. */
export const AMBIENT_EXCEPTIONS: readonly { readonly module: RegExp; readonly reason: string }[] = [
  {
    module: /^src\/store\/rocks[-a-z]*(\.ts$|\/)/,
    reason: 'RocksDB reads and writes its own files and has a worker thread',
  },
]
