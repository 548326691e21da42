// Teams that take and return machines for ever, each line printed once it is durable: `node main.js DIRECTORY [ROUND]`. The name
// of the round is part of the names of its requests.

import { openServer } from 'delos'
import { Broker } from './broker.ts'

const [dataDir = './broker-data', round = '0'] = process.argv.slice(2)
const SHARE = 2

const server = await openServer({ dataDir, databases: ['table'] })
const broker = await Broker.open(server.tables, SHARE)
for (let i = 0; i < 6; i++) await broker.addMachine(`m${i}`, 'here', BigInt(1 + (i % 3)))

const print = (...words: string[]): boolean => process.stdout.write(`${words.join(' ')}\n`)

async function run(team: string): Promise<never> {
  const held = (await broker.held(team)).map(({ request }) => request)
  for (let i = 0; ; i++) {
    const request = `${team}-${round}-${i}`
    print('asking', request)
    const answer = await broker.allocate({ request, team, zone: 'here', coresMin: 1n })
    if ('machine' in answer) {
      held.push(request)
      print('allocated', request, answer.machine)
    }
    const oldest = held.length === SHARE || 'refused' in answer ? held.shift() : undefined
    if (oldest === undefined) continue
    print('releasing', oldest)
    if (await broker.release(oldest)) print('released', oldest)
  }
}

await Promise.all(['red', 'green', 'blue', 'white'].map(run))
