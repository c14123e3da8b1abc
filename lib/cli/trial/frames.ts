/** Connections of the built-in load that exchange messages: WebSocket, and bytes that come back over TCP. */

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { type Connection, type Done, hostOf, leave, open } from './connections';
import type { Request, Target } from './requests';

const NOTHING = Buffer.alloc(0);
const HEAD_END = '\r\n\r\n';

/** The status under which messages are counted: that of the handshake. */
const SWITCHED = 101;

/** Opcodes of RFC 6455, section 5.2; what is below the first of these is a message or a part of one. */
const opcodes = { text: 1, close: 8, ping: 9, pong: 10 } as const;

/** The status of a WebSocket that is closed because it is over. */
const NORMAL = Buffer.from([1000 >> 8, 1000 & 0xff]);

/** What both have in common: a socket that is opened again after it broke, and one message under way. */
abstract class Exchange implements Connection {
  protected readonly target: Target;
  #socket: Socket | null = null;
  #done: Done | null = null;
  #held: Buffer = NOTHING;
  #message: Buffer = NOTHING;

  constructor(target: Target) {
    this.target = target;
  }

  send(request: Request, done: Done): void {
    this.#done = done;
    this.#message = Buffer.from(request.body);
    if (this.#socket === null) this.#connect(request);
    else this.deliver(this.#socket, this.#message);
  }

  close(): void {
    const [socket, underWay] = [this.#socket, this.#done !== null];
    this.#done = null;
    this.#socket = null;
    if (socket !== null && !underWay) this.part(socket);
    leave(socket, underWay);
  }

  /** The last words, where the protocol has any. */
  protected part(_socket: Socket): void {}

  /** Called once connected. */
  protected abstract greet(socket: Socket, request: Request, message: Buffer): void;
  protected abstract deliver(socket: Socket, message: Buffer): void;
  /** Takes what has come, and gives back what is left for later. */
  protected abstract receive(socket: Socket, all: Buffer, message: Buffer): Buffer;

  protected finish(error: Error | null, status: number, body: Buffer): void {
    const done = this.#done;
    this.#done = null;
    done?.(error, status, body);
  }

  #connect(request: Request): void {
    const socket = open(this.target);
    this.#socket = socket;
    this.#held = NOTHING;
    const gone = (error?: Error) => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      socket.destroy();
      this.finish(error ?? new Error('the connection was closed before the message came'), 0, NOTHING);
    };
    socket.on('data', (chunk) => {
      if (this.#socket !== socket) return;
      try {
        const all = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
        this.#held = this.receive(socket, all, this.#message);
      } catch (error) {
        gone(error as Error);
      }
    });
    socket
      .on('error', gone)
      .on('end', gone)
      .on('close', () => gone());
    this.greet(socket, request, this.#message);
  }
}

/** As many bytes as were sent come back. */
export class EchoConnection extends Exchange {
  protected greet(socket: Socket, _request: Request, message: Buffer): void {
    socket.write(message);
  }

  protected deliver(socket: Socket, message: Buffer): void {
    socket.write(message);
  }

  protected receive(_socket: Socket, all: Buffer, message: Buffer): Buffer {
    if (all.length < message.length) return all;
    this.finish(null, 0, all.subarray(0, message.length));
    return NOTHING;
  }
}

/** A text message, and the next message that the server sends. */
export class WebSocketConnection extends Exchange {
  #upgraded = false;
  /** Waits for the handshake. */
  #first: Buffer = NOTHING;
  readonly #parts: Buffer[] = [];

  protected greet(socket: Socket, { path, headers }: Request, message: Buffer): void {
    this.#upgraded = false;
    this.#parts.length = 0;
    const lines = [
      `GET ${path} HTTP/1.1`,
      `Host: ${hostOf(this.target)}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      ...headers.map(([name, value]) => `${name}: ${value}`),
    ];
    socket.write(lines.join('\r\n') + HEAD_END);
    this.#first = message;
  }

  protected deliver(socket: Socket, message: Buffer): void {
    socket.write(frame(opcodes.text, message));
  }

  protected override part(socket: Socket): void {
    if (this.#upgraded) socket.write(frame(opcodes.close, NORMAL));
  }

  protected receive(socket: Socket, all: Buffer): Buffer {
    let left = all;
    if (!this.#upgraded) {
      const at = left.indexOf(HEAD_END);
      if (at < 0) return left;
      const status = Number(left.toString('latin1', 9, 12));
      if (status !== SWITCHED) throw new Error(`the server answered ${status} to the WebSocket handshake`);
      this.#upgraded = true;
      left = left.subarray(at + HEAD_END.length);
      this.deliver(socket, this.#first);
    }
    for (;;) {
      const next = parse(left);
      if (next === null) return left;
      left = left.subarray(next.size);
      if (next.opcode === opcodes.ping) socket.write(frame(opcodes.pong, next.payload));
      else if (next.opcode === opcodes.close) throw new Error('the server closed the WebSocket');
      else if (next.opcode < opcodes.close) {
        this.#parts.push(next.payload);
        if (!next.final) continue;
        const message = this.#parts.length === 1 ? next.payload : Buffer.concat(this.#parts);
        this.#parts.length = 0;
        this.finish(null, SWITCHED, message);
      }
    }
  }
}

/** A frame of a client: masked, as the protocol wants it; with zeros, as there is nobody to fool on a loopback. */
function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = length < 126 ? Buffer.alloc(6) : length < 65_536 ? Buffer.alloc(8) : Buffer.alloc(14);
  head[0] = 0x80 | opcode;
  if (length < 126) head[1] = 0x80 | length;
  else if (length < 65_536) {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

/** The frame of a server at the head of some bytes; null while it is not whole. */
function parse(bytes: Buffer): { opcode: number; final: boolean; payload: Buffer; size: number } | null {
  if (bytes.length < 2) return null;
  const [first = 0, second = 0] = bytes;
  const short = second & 0x7f;
  const from = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < from) return null;
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  if (bytes.length < from + length) return null;
  return {
    opcode: first & 0x0f,
    final: (first & 0x80) !== 0,
    payload: bytes.subarray(from, from + length),
    size: from + length,
  };
}
