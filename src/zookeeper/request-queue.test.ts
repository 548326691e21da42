// Which updates of a connection must wait before they go into the log, seen at its queue alone.

import { expect, it } from 'vitest'
import type { Requester } from '../zelos/requests.ts'
import type { SessionId } from '../zelos/znode.ts'
import { OP } from './codec/opcodes.ts'
import type { WireRequest } from './codec/wire-requests.ts'
import { PendingRequest, type RequestOwner } from './pending-request.ts'
import { RequestQueue } from './request-queue.ts'

const OWNER: RequestOwner = { requestSettled: () => undefined }
const REQUESTER: Requester = { session: 1 as SessionId, ownerEpoch: 0, address: '127.0.0.1', identities: [] }
const DELETE: WireRequest = { op: OP.delete, path: '/a', version: -1 }
const PLAIN_READ: WireRequest = { op: OP.getAcl, path: '/a' }
const WATCHING_READ: WireRequest = { op: OP.getData, path: '/a', watch: true }

function arrived(queue: RequestQueue, request: WireRequest): PendingRequest {
  const pending = new PendingRequest(OWNER, 1, request, 0, 10, request.op !== OP.delete)
  if (!pending.inTurn && queue.holdsUpdates) pending.held = REQUESTER
  queue.push(pending)
  return pending
}

it('an update that arrives while one before it is held goes into the log behind it', () => {
  const queue = new RequestQueue(-1)
  arrived(queue, WATCHING_READ)
  const [first] = [arrived(queue, DELETE), arrived(queue, PLAIN_READ)]
  const second = arrived(queue, DELETE)
  const released: PendingRequest[] = []
  const release = (pending: PendingRequest): void => {
    pending.held = undefined
    released.push(pending)
  }

  queue.shift()
  queue.forEachReleasable(release)
  expect(released).toEqual([first])
  const third = arrived(queue, DELETE)
  expect(third.held).toBe(REQUESTER)

  queue.shift()
  queue.shift()
  queue.forEachReleasable(release)
  expect(released).toEqual([first, second, third])
  expect(queue.holdsUpdates).toBe(false)
})
