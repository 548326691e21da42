// The HTTP API that operators and the command line use: the routes about the whole server here, those about stacks and their
// switches in stack-routes.ts, about rows in doctor-routes.ts.

import { type DoctorRoutesOptions, doctorRoutes } from './doctor-routes.ts'
import type { Routes } from './http-listener.ts'
import { type LogRoutesOptions, logRoutes } from './log-routes.ts'
import type { ServerStatus } from './server-status.ts'
import { type StackRoutesOptions, stackRoutes } from './stack-routes.ts'

/**
 * `/livez`: 200 while the process answers. `/readyz`: 200 while every database serves, else 503 with the reason.
 * `/v1/status`: see ServerStatus.
 */
export function apiRoutes(
  status: () => ServerStatus,
  options: StackRoutesOptions & DoctorRoutesOptions & LogRoutesOptions,
): Routes {
  return (app) => {
    app.get('/livez', async () => ({ live: true }))
    app.get('/readyz', async (_, reply) => {
      const { ready, databases } = status()
      const states = Object.fromEntries(Object.entries(databases).map(([name, { state }]) => [name, state]))
      return reply.code(ready ? 200 : 503).send({ ready, databases: states })
    })
    app.get('/v1/status', async () => status())
    stackRoutes(options)(app)
    doctorRoutes(options)(app)
    logRoutes(options)(app)
  }
}
