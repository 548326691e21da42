// A well-behaved client in a process of its own: one operation per millisecond until its stdin ends, then one line of
// JSON with what it saw. Own process, so that the load of the test that starts it is not measured as the server's.
//
//   node neighbour.mjs PORT PATH SERVER_PID

import { openSync, readdirSync, readSync } from 'node:fs'
import { connect } from 'node:net'

const port = Number(process.argv[2])
const path = Buffer.from(process.argv[3])
const pid = process.argv[4]
const OP_GET_DATA = 4
const OP_SET_DATA = 5
const WRITE_EVERY = 10
const TICK_MS = 1

/** @type {Map<number, {sent: number, lost: number}>} xid → when it was sent, and how much time was lost by then */
const inFlight = new Map()
const report = { operations: 0, failures: 0, unanswered: 0, over50: 0, worstMs: 0, worstWithLossMs: 0, lostMs: 0 }
let xid = 0
let ended = false

const int = (value) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const frame = (...parts) => {
  const body = Buffer.concat(parts)
  return Buffer.concat([int(body.length), body])
}

const socket = connect({ port, host: '127.0.0.1', noDelay: true })
socket.write(frame(int(0), Buffer.alloc(8), int(30_000), Buffer.alloc(8), int(16), Buffer.alloc(17)))

// Time that is no latency of the server's: this process itself did not run, or a thread of the server was ready to run and
// other processes had the processor (second figure of schedstat, in nanoseconds). On a quiet machine both are next to 0.
let stalledMs = 0
const threads = readdirSync(`/proc/${pid}/task`).map((task) => openSync(`/proc/${pid}/task/${task}/schedstat`, 'r'))
const text = Buffer.alloc(100)
function starvedMs() {
  let nanoseconds = 0
  for (const thread of threads) {
    const length = readSync(thread, text, 0, text.length, 0)
    nanoseconds += Number(text.toString('latin1', 0, length).split(' ')[1])
  }
  return nanoseconds / 1e6
}
const lost = () => stalledMs + starvedMs()

function send() {
  xid += 1
  const write = xid % WRITE_EVERY === 0
  const rest = write ? [int(4), int(xid), int(-1)] : [Buffer.alloc(1)]
  inFlight.set(xid, { sent: performance.now(), lost: lost() })
  socket.write(frame(int(xid), int(write ? OP_SET_DATA : OP_GET_DATA), int(path.length), path, ...rest))
}

let lastTick = performance.now()
let lostAtStart = 0
let timer
function tick() {
  const now = performance.now()
  stalledMs += Math.max(0, now - lastTick - 4 * TICK_MS)
  lastTick = now
  send()
  timer = setTimeout(tick, TICK_MS)
}

function answered(body) {
  const request = inFlight.get(body.readInt32BE(0))
  if (request === undefined) return
  inFlight.delete(body.readInt32BE(0))
  const withLossMs = performance.now() - request.sent
  const ms = withLossMs > 50 ? withLossMs - (lost() - request.lost) : withLossMs
  report.operations += 1
  if (body.readInt32BE(12) !== 0) report.failures += 1
  if (ms > 50) report.over50 += 1
  report.worstMs = Math.max(report.worstMs, ms)
  report.worstWithLossMs = Math.max(report.worstWithLossMs, withLossMs)
  if (ended && inFlight.size === 0) finish()
}

function finish() {
  clearTimeout(timer)
  report.unanswered = inFlight.size
  report.lostMs = Math.round(lost() - lostAtStart)
  console.log(JSON.stringify(report))
  process.exit(0)
}

let pending = Buffer.alloc(0)
let greeted = false
socket.on('data', (chunk) => {
  pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
  while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
    const body = pending.subarray(4, 4 + pending.readInt32BE(0))
    pending = pending.subarray(4 + body.length)
    if (greeted) answered(body)
    else {
      greeted = true
      lastTick = performance.now()
      lostAtStart = lost()
      tick()
    }
  }
})
socket.on('error', () => undefined)
socket.on('close', finish)
process.stdin.on('end', () => {
  ended = true
  clearTimeout(timer)
  setTimeout(finish, 2000)
  if (inFlight.size === 0) finish()
})
process.stdin.resume()
