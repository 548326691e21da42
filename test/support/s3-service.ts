// The npm package s3rver as a service of this process, and before it a proxy that answers as services and networks do on bad
// days: one fault per request, as the test says.

import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { S3RVER_DIR } from './peers.ts'
import { tempDir } from './temp-dir.ts'

/** What happens to a request. `slowDown`: 503 without asking the service. The rest: to the answer's body, or to the request's. */
export type HttpFault =
  | 'none'
  | 'slowDown'
  | 'serverError'
  | 'resetBeforeAnswer'
  | 'resetInBody'
  | 'truncated'
  | 'damaged'
  | 'silent'

interface RunningS3rver {
  run(): Promise<AddressInfo>
  close(): Promise<void>
}

export const S3_CREDENTIALS = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }
export const S3_BUCKET = 'backups'

export class S3Service {
  /** Chosen anew for every request. */
  fault: (request: { readonly method: string; readonly path: string }) => HttpFault = () => 'none'
  readonly directory: string
  /** Faults that were done. */
  readonly faults = new Map<HttpFault, number>()
  private readonly service: RunningS3rver
  private readonly proxy: Server
  private target = 0

  private constructor(service: RunningS3rver, directory: string) {
    this.service = service
    this.directory = directory
    this.proxy = createServer((request, response) => this.handle(request, response))
  }

  static async start(): Promise<S3Service> {
    const directory = tempDir('s3')
    const S3rver = createRequire(join(S3RVER_DIR, 'package.json'))('s3rver') as new (options: object) => RunningS3rver
    const configureBuckets = [{ name: S3_BUCKET, configs: [] }]
    const service = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory, configureBuckets })
    const started = new S3Service(service, directory)
    started.target = (await service.run()).port
    started.proxy.listen(0, '127.0.0.1')
    await once(started.proxy, 'listening')
    return started
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.proxy.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.proxy.closeAllConnections()
    this.proxy.close()
    await this.service.close()
  }

  private handle(request: IncomingMessage, response: ServerResponse): void {
    const fault = this.fault({ method: request.method ?? '', path: request.url ?? '' })
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1)
    switch (fault) {
      case 'slowDown':
        request.resume()
        response.writeHead(503, { 'content-type': 'application/xml' })
        response.end(
          '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>',
        )
        return
      case 'serverError':
        request.resume()
        response.writeHead(500).end()
        return
      case 'silent':
        request.resume()
        return
      case 'resetBeforeAnswer':
        request.once('data', () => request.socket.resetAndDestroy())
        request.once('end', () => request.socket.resetAndDestroy())
        request.resume()
        return
      default:
        this.pass(request, response, fault)
    }
  }

  private pass(request: IncomingMessage, response: ServerResponse, fault: HttpFault): void {
    const { headers, method, url } = request
    const onward = httpRequest({ host: '127.0.0.1', port: this.target, method, path: url, headers }, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => {
        const body = Buffer.concat(parts)
        // A list has no checksum but that of its transport: with a byte changed in a name it is another list.
        const isList = url?.includes('list-type=') === true
        if (fault === 'damaged' && !isList && body.length > 0)
          body[body.length >> 1] = (body[body.length >> 1] as number) ^ 1
        const cut = fault === 'truncated' ? body.subarray(0, body.length >> 1) : body
        const length = { 'content-length': String(cut.length) }
        // Also of a whole answer the header says how long it is: a truncated one lies.
        const own = method === 'HEAD' || answer.statusCode === 204 ? {} : fault === 'resetInBody' ? {} : length
        response.writeHead(answer.statusCode ?? 500, { ...answer.headers, ...own })
        if (fault === 'resetInBody') {
          response.write(body.subarray(0, body.length >> 1), () => request.socket.resetAndDestroy())
          return
        }
        response.end(cut)
      })
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  }
}
