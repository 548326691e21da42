// Drives the npm package `zookeeper` (the C client) through its operations: each step prints one line of JSON,
// [step, result]. Run by test/npm-zookeeper.test.ts:  node client-script.cjs HOST:PORT
// A line on stdin lets it go on where it waits for the server to be restarted.

const { once } = require('node:events')
const ZooKeeper = require('zookeeper')

const hosts = process.argv[2]
const OPTIONS = {
  connect: hosts,
  timeout: 10_000,
  debug_level: ZooKeeper.constants?.ZOO_LOG_LEVEL_ERROR ?? 1,
  host_order_deterministic: false,
}
const EPHEMERAL = 1
const SEQUENCE = 2
const DEADLINE_MS = 15_000

const print = (step, result) =>
  console.log(
    JSON.stringify([step, result], (_key, value) =>
      Buffer.isBuffer(value) || value?.type === 'Buffer' ? Buffer.from(value).toString() : value,
    ),
  )

function within(promise, what) {
  let timer
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${DEADLINE_MS} ms`)), DEADLINE_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Calls an operation that ends in a callback (rc, message, ...values) and gives [rc, ...values]. */
const call = (client, operation, ...args) =>
  within(
    new Promise((resolve) => client[operation](...args, (rc, _message, ...values) => resolve([rc, ...values]))),
    operation,
  )

const SESSION_EVENT = -1

/** Calls an operation with a watch: [result, promise of the event]. A watch is also told that its session came and went. */
function watch(client, operation, path) {
  let fired
  const event = new Promise((resolve) => {
    fired = (type, state, at) => type !== SESSION_EVENT && resolve([type, state, at])
  })
  const result = within(
    new Promise((resolve) => client[operation](path, fired, (rc, _message, ...values) => resolve([rc, ...values]))),
    operation,
  )
  return [result, within(event, `event of ${operation}`)]
}

async function connected(options = {}) {
  const client = new ZooKeeper({ ...OPTIONS, ...options })
  client.init({})
  await within(once(client, 'connect'), 'connection')
  return client
}

const pick = ({ version, cversion, aversion, dataLength, numChildren, ephemeralOwner }) => ({
  version,
  cversion,
  aversion,
  dataLength,
  numChildren,
  ephemeral: !/^0*$/.test(String(ephemeralOwner)),
})

async function main() {
  const client = await connected()
  print('connect', [client.state, client.timeout])

  print('create', await call(client, 'a_create', '/npm', 'first', 0))
  print('create again', await call(client, 'a_create', '/npm', 'first', 0))
  print('create below nothing', await call(client, 'a_create', '/nope/x', '', 0))
  print('create sequential', await call(client, 'a_create', '/npm/s-', '', SEQUENCE))
  print('create ephemeral', await call(client, 'a_create', '/npm/e', 'e', EPHEMERAL))
  print('create ephemeral sequential', await call(client, 'a_create', '/npm/es-', '', EPHEMERAL | SEQUENCE))
  print('create below ephemeral', await call(client, 'a_create', '/npm/e/x', '', 0))

  const [rc, stat, data] = await call(client, 'a_get', '/npm', false)
  print('get', [rc, pick(stat), data])
  print('get nothing', (await call(client, 'a_get', '/nope', false))[0])
  print('exists ephemeral', pick((await call(client, 'a_exists', '/npm/e', false))[1]))
  const set = await call(client, 'a_set', '/npm', 'second', 0)
  print('set', [set[0], pick(set[1])])
  print('set old version', (await call(client, 'a_set', '/npm', 'third', 0))[0])
  const children = await call(client, 'a_get_children', '/npm', false)
  print('children', [children[0], children[1].sort()])
  const children2 = await call(client, 'a_get_children2', '/npm', false)
  print('children2', [children2[0], children2[1].sort(), pick(children2[2])])
  print('sync', (await call(client, 'a_sync', '/npm'))[0])
  print('get acl', await call(client, 'a_get_acl', '/npm').then(([code, acl]) => [code, acl]))
  print('delete non-empty', (await call(client, 'a_delete_', '/npm', -1))[0])
  print('delete old version', (await call(client, 'a_delete_', '/npm/e', 9))[0])
  print('delete', (await call(client, 'a_delete_', '/npm/e', 0))[0])

  const [absent, created] = watch(client, 'aw_exists', '/npm/w')
  print('exists nothing', (await absent)[0])
  const [listed, childEvent] = watch(client, 'aw_get_children', '/npm')
  await listed
  await call(client, 'a_create', '/npm/w', '', 0)
  print('created event', await created)
  print('child event', await childEvent)
  const [read, changed] = watch(client, 'aw_get', '/npm/w')
  await read
  await call(client, 'a_set', '/npm/w', 'x', -1)
  print('changed event', await changed)

  // The client sets its watches again when it comes back: one has to fire for a change that it missed, one has to last.
  const [missed, missedEvent] = watch(client, 'aw_get', '/npm/w')
  await missed
  const [lasting, lastingEvent] = watch(client, 'aw_exists', '/npm/later')
  await lasting
  const session = client.client_id
  print('ready for restart', session.length > 0)
  await within(once(process.stdin, 'data'), 'line on stdin')
  print('missed event', await missedEvent)
  print('create after restart', await call(client, 'a_create', '/npm/later', '', EPHEMERAL))
  print('lasting event', await lastingEvent)
  print('same session', client.client_id === session)

  const second = await connected({ client_id: client.client_id, client_password: client.client_password })
  print('taken over', [second.client_id === session, (await call(second, 'a_exists', '/npm/later', false))[0]])
  second.close()
  const third = await connected()
  print('after close', (await call(third, 'a_exists', '/npm/later', false))[0])
  third.close()
  process.exit(0)
}

main().catch((error) => {
  print('failed', error.stack)
  process.exit(1)
})
