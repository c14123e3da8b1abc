/**
 * One connection of the built-in load: a request at a time, the answer whole. Written on `net`, as Node's http client costs as
 * much processor time as the server that it is to load.
 */

import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Request, Target } from './requests';
import { textOf } from './requests';

/** Told once for each request: what came, or that the connection broke. */
export type Done = (error: Error | null, status: number, body: Buffer) => void;

export interface Connection {
  /** One at a time. */
  send(request: Request, done: Done): void;
  /** Nothing is told after this. A peer that is not in the middle of an answer sees a polite end: it may not be used to others. */
  close(): void;
}

/** Ends a socket, and for good where it would be left with bytes that nobody reads. */
export function leave(socket: Socket | null, underWay: boolean): void {
  if (underWay) socket?.destroy();
  else
    socket
      ?.end()
      .resume()
      .on('error', () => {});
}

const NOTHING = Buffer.alloc(0);

export const hostOf = ({ host, port }: Target): string =>
  port === null ? 'localhost' : `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** A socket to where a program listens. Its certificate is not asked for: it is our own child that we talk to. */
export function open({ host, port, path, secure }: Target): Socket {
  const where = path === null ? { host, port: port ?? 0 } : { path };
  const socket = secure
    ? connectTls({ ...where, rejectUnauthorized: false, servername: 'localhost' })
    : connectTcp(where);
  socket.setNoDelay(true);
  return socket;
}

/** HTTP/1.1 over a socket that is opened again whenever the server has closed it. */
export class HttpConnection implements Connection {
  readonly #target: Target;
  readonly #texts = new Map<Request, Buffer>();
  #socket: Socket | null = null;
  #reader: HttpReader | null = null;
  #done: Done | null = null;

  constructor(target: Target) {
    this.#target = target;
  }

  send(request: Request, done: Done): void {
    this.#done = done;
    this.#reader = new HttpReader(request.method === 'HEAD');
    this.#socket ??= this.#connect();
    let bytes = this.#texts.get(request);
    if (bytes === undefined) {
      bytes = textOf(request, hostOf(this.#target));
      this.#texts.set(request, bytes);
    }
    this.#socket.write(bytes);
  }

  close(): void {
    const [socket, underWay] = [this.#socket, this.#done !== null];
    this.#done = null;
    this.#socket = null;
    leave(socket, underWay);
  }

  #connect(): Socket {
    const socket = open(this.#target);
    const gone = (error?: Error) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      socket.destroy();
      if (this.#reader?.end() === true) this.#finish(null);
      else this.#finish(error ?? new Error('the connection was closed before the answer was whole'));
    };
    socket.on('data', (chunk) => {
      const reader = this.#reader;
      if (this.#socket !== socket || reader === null || !reader.push(chunk)) return;
      if (!reader.reusable) {
        this.#socket = null;
        socket.destroy();
      }
      this.#finish(null);
    });
    socket
      .on('error', gone)
      .on('end', gone)
      .on('close', () => gone());
    return socket;
  }

  #finish(error: Error | null): void {
    const [done, reader] = [this.#done, this.#reader];
    this.#done = null;
    this.#reader = null;
    done?.(error, reader?.status ?? 0, reader?.body ?? NOTHING);
  }
}

const HEAD_END = Buffer.from('\r\n\r\n');

/** One answer of HTTP/1.1. */
export class HttpReader {
  status = 0;
  body: Buffer = NOTHING;
  /** Whether the connection may be used again. */
  reusable = true;
  readonly #bodiless: boolean;
  #held: Buffer = NOTHING;
  #state: 'head' | 'length' | 'chunked' | 'close' = 'head';
  #length = 0;
  #have = 0;
  readonly #parts: Buffer[] = [];

  /** @param bodiless of an answer to HEAD */
  constructor(bodiless = false) {
    this.#bodiless = bodiless;
  }

  /** True once the answer is whole. */
  push(chunk: Buffer): boolean {
    if (this.#state === 'head') {
      const all = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
      const at = all.indexOf(HEAD_END);
      if (at < 0) {
        this.#held = all;
        return false;
      }
      this.#held = NOTHING;
      const rest = all.subarray(at + HEAD_END.length);
      this.#readHead(all.toString('latin1', 0, at));
      // 100 and 103 come before the answer.
      if (this.status < 200) return rest.length > 0 && this.push(rest);
      return this.#readBody(rest);
    }
    return this.#readBody(chunk);
  }

  /** Whether the end of the stream ends the answer. */
  end(): boolean {
    if (this.#state !== 'close') return false;
    this.body = Buffer.concat(this.#parts);
    return true;
  }

  #readHead(head: string): void {
    this.status = Number(head.slice(9, 12));
    if (this.status < 200) return;
    const lower = head.toLowerCase();
    this.reusable = head.startsWith('HTTP/1.1') && !lower.includes('\r\nconnection: close');
    const length = /\r\ncontent-length: *(\d+)/.exec(lower);
    if (this.#bodiless || this.status === 204 || this.status === 304) this.#state = 'length';
    else if (lower.includes('\r\ntransfer-encoding: chunked')) this.#state = 'chunked';
    else if (length !== null) {
      this.#state = 'length';
      this.#length = Number(length[1]);
    } else {
      this.#state = 'close';
      this.reusable = false;
    }
  }

  #readBody(chunk: Buffer): boolean {
    if (this.#state === 'chunked') return this.#readChunks(chunk);
    this.#have += chunk.length;
    // The usual case: it came in one piece.
    if (this.#state === 'length' && this.#parts.length === 0 && this.#have >= this.#length) {
      this.body = chunk.subarray(0, this.#length);
      return true;
    }
    this.#parts.push(chunk);
    if (this.#state !== 'length' || this.#have < this.#length) return false;
    this.body = Buffer.concat(this.#parts).subarray(0, this.#length);
    return true;
  }

  /** Sizes in hexadecimal, each before its bytes; the last is none, and trailers may follow. */
  #readChunks(chunk: Buffer): boolean {
    let all = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    for (;;) {
      const line = all.indexOf('\r\n');
      if (line < 0) break;
      const size = Number.parseInt(all.toString('latin1', 0, line), 16);
      if (size === 0) {
        if (all.indexOf(HEAD_END, line) < 0) break;
        this.body = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
        return true;
      }
      if (all.length < line + size + 4) break;
      this.#parts.push(all.subarray(line + 2, line + 2 + size));
      all = all.subarray(line + size + 4);
    }
    this.#held = all;
    return false;
  }
}
