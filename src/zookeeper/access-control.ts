// Everything that stands between a client and its answers, put together for one server. No behaviour of its own.

import type { Timers } from '../runtime/runtime.ts'
import type { Zelos } from '../zelos/zelos.ts'
import type { AccessOptions, Chance } from './access-options.ts'
import { AccessStats } from './access-stats.ts'
import { Authentication } from './authentication.ts'
import { ConnectionThrottle } from './connection-throttle.ts'
import { ReadOnlyMode } from './read-only-mode.ts'
import { RequestThrottle } from './request-throttle.ts'

export interface AccessParts {
  readonly zelos: Zelos
  readonly timers: Timers
  readonly chance: Chance
  nowMs(): number
}

export class AccessControl {
  readonly options: AccessOptions
  readonly stats = new AccessStats()
  readonly authentication: Authentication
  readonly connections: ConnectionThrottle
  /** Undefined if nothing is throttled. */
  readonly requests: RequestThrottle | undefined
  readonly readOnly: ReadOnlyMode

  /** Throws INVALID_ARGUMENT for what can't be. */
  constructor(options: AccessOptions, { zelos, timers, chance, nowMs }: AccessParts) {
    const { authentication, connectionThrottle, requestThrottle } = options
    const isThrottled = requestThrottle.requestsMax > 0 || requestThrottle.largeRequestBytes !== -1
    this.options = options
    this.authentication = new Authentication(authentication, chance)
    this.connections = new ConnectionThrottle(connectionThrottle, nowMs, chance)
    this.requests = isThrottled ? new RequestThrottle(requestThrottle, (action) => timers.soon(action)) : undefined
    this.readOnly = new ReadOnlyMode(options.readOnlyMode, zelos, timers, chance)
  }
}
