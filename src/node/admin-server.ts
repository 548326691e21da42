// ZooKeeper's AdminServer over HTTP: `/commands` lists what there is, `/commands/NAME` answers in JSON. What the answers are is
// the protocol server's (admin-commands.ts).

import type { FastifyReply, FastifyRequest } from 'fastify'
import { ADMIN_COMMAND_NAMES, AdminCommands, type AdminCommandsOptions } from '../zookeeper/admin-commands.ts'
import { adminJson } from '../zookeeper/admin-json.ts'
import type { Routes } from './http-listener.ts'

export interface AdminServerOptions extends AdminCommandsOptions {
  /** Called for each connection that comes in. */
  readonly connected: () => void
}

export function adminRoutes(options: AdminServerOptions): Routes {
  const commands = new AdminCommands(options)
  const answer = async (method: 'GET' | 'POST', request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const { status, body } = commands.run({
      name: (request.params as { '*': string })['*'],
      method,
      query: firstValues(request.query as Record<string, string | string[]>),
      authorization: request.headers.authorization,
      address: request.ip,
    })
    // What was sent along is not read: nothing here takes a body.
    if (method === 'POST') reply.header('connection', 'close')
    return reply
      .code(status)
      .header('content-type', 'application/json')
      .send(Buffer.from(adminJson(body)))
  }
  return (app) => {
    app.server.on('connection', options.connected)
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => done(null))
    for (const url of ['/commands', '/commands/'])
      app.get(url, async (_, reply) => reply.type('text/html').send(links()))
    app.get('/commands/*', async (request, reply) => answer('GET', request, reply))
    app.post('/commands/*', async (request, reply) => answer('POST', request, reply))
    app.route({ method: 'TRACE', url: '/*', handler: async (_, reply) => reply.code(403).send() })
  }
}

function links(): string {
  return ADMIN_COMMAND_NAMES.map((name) => `<a href="/commands/${name}">${name}</a>\n<br/>\n`).join('')
}

/** A name that is given twice counts once. */
function firstValues(query: Readonly<Record<string, string | readonly string[]>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query).map(([name, value]) => [name, typeof value === 'string' ? value : (value[0] ?? '')]),
  )
}
