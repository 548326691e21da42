// Connections under a limit of open files.

import { expect, it } from 'vitest'
import { connectionRoom } from './connection-room.ts'

it.each<[number, { max: number } | undefined, number]>([
  [10_000, undefined, 10_000],
  [10_000, { max: -1 }, 10_000],
  [10_000, { max: 20_000 }, 10_000],
  [10_000, { max: 10_256 }, 10_000],
  [10_000, { max: 10_255 }, 9999],
  [10_000, { max: 4096 }, 3840],
  [10_000, { max: 110 }, 55],
  [20, { max: 110 }, 20],
])('of %d connections, under a limit of %j files, there is room for %d', (wanted, files, room) => {
  expect(connectionRoom(wanted, files)).toBe(room)
})
