// Counts from the command line: `node main.js DIRECTORY NAME [TIMES]` adds 1 to NAME, TIMES times or for ever, and prints each
// value once it is durable.

import { openServer } from 'delos'
import { type AdditionResult, Counters, counterDatabase } from './counter.ts'

const [dataDir = './counter-data', name = 'visits', times = '1'] = process.argv.slice(2)

const server = await openServer({ dataDir, databases: [counterDatabase()] })
const counters = new Counters(server.database<AdditionResult>('counter'))
for (let left = Number(times); left > 0; left--) {
  const result = await counters.add(name, 1)
  process.stdout.write(`${'value' in result ? result.value : result.rejected}\n`)
}
await server.close()
