// Points in time as Java prints them, always in UTC. By arithmetic: the language's own dates ask the system for its time zone.

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAY_MS = 86_400_000
/** Days of four hundred years, which is when the calendar repeats itself. */
const ERA_DAYS = 146_097
/** From the first of March of the year 0 to the first of January 1970: with March first, a leap day is the last of its year. */
const EPOCH_DAYS = 719_468

/** `Sun Nov 22 15:18:56 UTC 2026`; ms since 1970, not before. */
export function javaDate(wallMs: number): string {
  const day = Math.floor(wallMs / DAY_MS)
  const seconds = Math.floor((wallMs - day * DAY_MS) / 1000)
  const [year, month, date] = civil(day)
  const clock = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((part) => two(Math.floor(part))).join(':')
  return `${DAYS[(day + 4) % 7]} ${MONTHS[month]} ${two(date)} ${clock} UTC ${year}`
}

function civil(day: number): readonly [year: number, month: number, date: number] {
  const fromMarch = day + EPOCH_DAYS
  const era = Math.floor(fromMarch / ERA_DAYS)
  const dayOfEra = fromMarch - era * ERA_DAYS
  const leapDays = Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096)
  const yearOfEra = Math.floor((dayOfEra - leapDays) / 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const sinceMarch = Math.floor((5 * dayOfYear + 2) / 153)
  const month = (sinceMarch + 2) % 12
  const date = dayOfYear - Math.floor((153 * sinceMarch + 2) / 5) + 1
  return [era * 400 + yearOfEra + (month < 2 ? 1 : 0), month, date]
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
