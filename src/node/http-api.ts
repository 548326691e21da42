// The HTTP API that operators and the command line use. Reads only, so far: nothing here changes anything.

import type { Routes } from './http-listener.ts'
import type { ServerStatus } from './server-status.ts'

/**
 * `/livez`: 200 while the process answers. `/readyz`: 200 while every database serves, else 503 with the reason.
 * `/v1/status`: see ServerStatus.
 */
export function apiRoutes(status: () => ServerStatus): Routes {
  return (app) => {
    app.get('/livez', async () => ({ live: true }))
    app.get('/readyz', async (_, reply) => {
      const { ready, databases } = status()
      const states = Object.fromEntries(Object.entries(databases).map(([name, { state }]) => [name, state]))
      return reply.code(ready ? 200 : 503).send({ ready, databases: states })
    })
    app.get('/v1/status', async () => status())
  }
}
