// How the replicated timers are divided: so many for nodes with a lifetime, so many for sessions, so that neither can take the
// other's, and that apply never arms one that there is no room for, which would stop the database.

/** Left for other layers. */
const RESERVE = 16

/** Nodes with a lifetime, of a service of so many timers. One more is refused in apply, with BAD_ARGUMENTS. */
export function timedNodesMax(timersMax: number): number {
  return Math.floor((timersMax * 3) / 4)
}

/** Sessions. One more is refused in apply, and told to the server that asked. */
export function timedSessionsMax(timersMax: number): number {
  return timersMax - timedNodesMax(timersMax) - RESERVE
}
