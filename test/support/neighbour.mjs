// A well-behaved client in a process of its own: one operation per millisecond until its stdin ends, then one line of
// JSON with what it saw. Own process, so that the load of the test that starts it is not measured as the server's.
//
// With the server's process id, time in which its main thread was ready to run and got no processor is no latency either: what is
// left is what the server itself took, whether it worked or was blocked.
//
//   node neighbour.mjs PORT PATH [PID]

import { closeSync, openSync, readSync } from 'node:fs'
import { connect } from 'node:net'

const port = Number(process.argv[2])
const path = Buffer.from(process.argv[3])
const OP_GET_DATA = 4
const OP_SET_DATA = 5
const WRITE_EVERY = 10
const TICK_MS = 1

/** @type {Map<number, {sent: number, lost: number}>} xid → when it was sent, and `lostMs` by then */
const inFlight = new Map()
const report = { operations: 0, failures: 0, unanswered: 0, over50: 0, worstMs: 0, stalledMs: 0, waitedMs: 0 }
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

// Time in which this process itself did not run: no latency of the server's.
let stalledMs = 0

const schedule = openSchedule(process.argv[4])
const line = Buffer.alloc(128)

/** Linux tells of each thread how long it ran, and how long it waited for a processor; elsewhere nothing is left out. */
function openSchedule(pid) {
  try {
    return pid === undefined ? undefined : openSync(`/proc/${pid}/task/${pid}/schedstat`)
  } catch {
    return undefined
  }
}

/** The server's main thread, since it started. */
function waitedMs() {
  if (schedule === undefined) return 0
  try {
    return Number(line.toString('latin1', 0, readSync(schedule, line, 0, line.length, 0)).split(' ')[1]) / 1e6
  } catch {
    // It has ended; so does this.
    return 0
  }
}
const waitedBefore = waitedMs()

/** In which the server could not have answered, or the answer not have been seen. */
const lostMs = () => stalledMs + waitedMs()

function send() {
  xid += 1
  const write = xid % WRITE_EVERY === 0
  const rest = write ? [int(4), int(xid), int(-1)] : [Buffer.alloc(1)]
  inFlight.set(xid, { sent: performance.now(), lost: lostMs() })
  socket.write(frame(int(xid), int(write ? OP_SET_DATA : OP_GET_DATA), int(path.length), path, ...rest))
}

let lastTick = performance.now()
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
  const ms = performance.now() - request.sent - Math.max(0, lostMs() - request.lost)
  report.operations += 1
  if (body.readInt32BE(12) !== 0) report.failures += 1
  if (ms > 50) report.over50 += 1
  report.worstMs = Math.max(report.worstMs, ms)
  if (ended && inFlight.size === 0) finish()
}

function finish() {
  clearTimeout(timer)
  report.unanswered = inFlight.size
  report.stalledMs = Math.round(stalledMs)
  report.waitedMs = Math.max(0, Math.round(waitedMs() - waitedBefore))
  if (schedule !== undefined) closeSync(schedule)
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
