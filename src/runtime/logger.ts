// What product code needs of a logger: pino's calling convention, so that pino itself fits. Fields first, then a sentence.

export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

function nothing(): void {
  // A silent logger says nothing: embedded servers must not write to the host's streams unless asked.
}

/** Drops everything. */
export const SILENT_LOGGER: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }
