// The process's logger: pino on stderr, as JSON lines or as text for people.

import pino from 'pino'
import type { Logger } from '../runtime/logger.ts'

/** `json`: one object a line. `text`: time, level, sentence, then the fields as name=value. Written synchronously. */
export function createLogger(level: 'debug' | 'info' | 'warn' | 'error' | 'silent', format: 'json' | 'text'): Logger {
  const options = { level, base: null, timestamp: pino.stdTimeFunctions.isoTime }
  if (format === 'json') return pino(options, pino.destination({ fd: 2, sync: true }))
  return pino(options, { write: (line: string) => void process.stderr.write(asText(line)) })
}

const LEVELS: Readonly<Record<number, string>> = { 20: 'DEBUG', 30: 'INFO', 40: 'WARN', 50: 'ERROR' }

function asText(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as { level: number; time: string; msg?: string }
  const shown = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  )
  return `${time} ${(LEVELS[level] ?? String(level)).padEnd(5)} ${[msg ?? '', ...shown].join(' ')}\n`
}
