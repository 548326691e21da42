import { describe, expect, it } from 'vitest'
import { javaDate } from './java-date.ts'

/** The same by the language's own calendar. */
function expected(wallMs: number): string {
  const [day, date, month, year, clock] = new Date(wallMs).toUTCString().replace(',', '').split(' ')
  return `${day} ${month} ${date} ${clock} UTC ${year}`
}

describe('javaDate', () => {
  it('knows the calendar: every day of four hundred years, and leap years', () => {
    for (let day = 0; day < 146_097; day += 1) {
      const wallMs = day * 86_400_000 + ((day * 7919) % 86_400) * 1000
      if (javaDate(wallMs) !== expected(wallMs)) expect(javaDate(wallMs)).toBe(expected(wallMs))
    }
    expect(javaDate(Date.UTC(2024, 1, 29, 23, 59, 59, 999))).toBe('Thu Feb 29 23:59:59 UTC 2024')
  })
})
