// A Zelos server whose stack is chosen: `full`, the production stack with Observers, or `bare`, Base and Batching alone. Started
// like `delos serve`, and as silent. For `bench -- engines` only.
import { parseArgs } from 'node:util'
import { batchingEngine, openServer } from 'delos'

const text = { type: 'string' } as const
const { values } = parseArgs({
  args: process.argv.slice(2),
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    'data-dir': text,
    'zookeeper-port': text,
    'metrics-port': text,
    'api-port': text,
    stack: text,
  },
})
const bare = values.stack === 'bare'
const server = await openServer(
  { dataDir: values['data-dir'] ?? '', zookeeper: { port: 0 }, metrics: { port: 0 }, api: { port: 0 } },
  bare ? { zelosStack: [batchingEngine()], observed: false } : {},
)
process.stdout.write(`${JSON.stringify({ ready: true, addresses: server.addresses })}\n`)
process.once('SIGTERM', () => {
  void server.close().then(() => process.exit(0))
})
