/** Connections of the built-in load over HTTP/2: a session of Node's own client, one stream at a time. */

import { type ClientHttp2Session, connect } from 'node:http2';
import { type Connection, type Done, hostOf, open } from './connections';
import type { Request, Target } from './requests';

export class Http2Connection implements Connection {
  readonly #target: Target;
  #session: ClientHttp2Session | null = null;

  constructor(target: Target) {
    this.#target = target;
  }

  send({ method, path, headers, body }: Request, done: Done): void {
    this.#session ??= this.#connect();
    const own = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
    const stream = this.#session.request({ ':method': method, ':path': path, ...own });
    const parts: Buffer[] = [];
    let status = 0;
    let told = false;
    // Of its own for each stream: one that has ended is closed when the next is under way.
    const finish = (error: Error | null): void => {
      if (told) return;
      told = true;
      done(error, status, parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
    };
    stream.on('response', (fields) => {
      status = Number(fields[':status']);
    });
    stream.on('data', (chunk: Buffer) => parts.push(chunk));
    stream.on('end', () => finish(null));
    stream.on('error', finish);
    stream.on('close', () => finish(new Error('the stream was closed before the answer was whole')));
    stream.end(body === '' ? undefined : body);
  }

  close(): void {
    this.#session?.close();
    this.#session = null;
  }

  #connect(): ClientHttp2Session {
    const { secure, path } = this.#target;
    const authority = `${secure ? 'https' : 'http'}://${hostOf(this.#target)}`;
    const own = path === null ? {} : { createConnection: () => open(this.#target) };
    const session = connect(authority, { rejectUnauthorized: false, ...own });
    const gone = () => {
      if (this.#session === session) this.#session = null;
    };
    // Whoever has a stream there hears of it by that.
    session.on('error', gone).on('close', gone).on('goaway', gone);
    return session;
  }
}
