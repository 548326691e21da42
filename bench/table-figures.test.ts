import { expect, it } from 'vitest'
import { checkTableFloors } from './table-figures.ts'

it('says which floors hold, and nothing of what was not measured', () => {
  const floors = checkTableFloors({ pointReads: 300_000, upserts: 59_999, getP99Ms: 5.1 })
  expect(floors.filter(({ holds }) => holds !== undefined).map(({ holds }) => holds)).toEqual([true, false, false])
})
