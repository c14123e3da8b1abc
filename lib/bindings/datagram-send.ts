/**
 * Sending. A message that the caller waits for goes to the kernel inside the call, which says what it thinks of it. Once
 * the kernel has taken one for an address, further messages of the same turn gather and leave together: at the end of a
 * delivery, at the end of the turn, when there are enough, or when the last left a while ago. They count as sent, which for a datagram promises little;
 * if one is refused after all, the next is sent inside its call again.
 *
 * A connected socket is different: the kernel answers a send with what became of an earlier one (`ECONNREFUSED`). Whoever
 * passes a callback wants to hear that, so there only messages without one gather, whose errors lib/ drops anyway.
 */

import { execArgv } from '../boot/host';
import { SafeMap } from '../collections';
import { getEnvironment } from '../context/environment';
import { deferToCheck } from '../context/phases';
import { errno } from '../native';
import { NOTIFY, TO_V4, TO_V6, TURN_SENT_BYTES } from '../native/protocol';
import {
  ArrayPrototypePush,
  ArrayPrototypeSome,
  StringPrototypeCharCodeAt,
  StringPrototypeIncludes,
  StringPrototypeReplaceAll,
  TypedArrayPrototypeSet,
} from '../primordials';
import type { Datagram } from './datagram';
import { begin, type Request } from './requests';

/** Sends of one turn that go to the kernel one by one before others gather: a lonely message must not wait. */
const AT_ONCE = 2;

/** Largest message of the internet protocol; what is larger is refused by the kernel, inside the call. */
const LARGEST = 65_507;

/** A peer's address as the native part reads it: one word, or five with a scope. */
interface Target {
  readonly words: Int32Array;
  readonly flag: number;
}

/** Parsed addresses by text, forgotten when there are too many. */
const TARGETS = 4096;
const targets = [new SafeMap<string, Target>(), new SafeMap<string, Target>()] as const;

const ZERO = 48;
const DOT = 46;

function parseV4(text: string): Target | null {
  const octets = new Uint8Array(4);
  let at = 0;
  let octet = -1;
  for (let index = 0; index <= text.length; index += 1) {
    const digit = index < text.length ? StringPrototypeCharCodeAt(text, index) - ZERO : DOT - ZERO;
    if (digit >= 0 && digit <= 9) {
      // No zeros in front.
      if (octet === 0) return null;
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return null;
    } else {
      if (digit !== DOT - ZERO || octet < 0 || at === 4) return null;
      octets[at] = octet;
      at += 1;
      octet = -1;
    }
  }
  return at === 4 ? { words: new Int32Array(octets.buffer), flag: TO_V4 } : null;
}

function parseV6(text: string): Target | null {
  const bytes = new Uint8Array(20);
  return getEnvironment().native.parseV6(text, bytes) === 0
    ? { words: new Int32Array(bytes.buffer), flag: TO_V6 }
    : null;
}

function targetOf(text: string, v6: boolean): Target | null {
  const known = targets[v6 ? 1 : 0];
  let target = known.get(text);
  if (target === undefined) {
    const parsed = v6 ? parseV6(text) : parseV4(text);
    if (parsed === null) return null;
    // A zone is the name of an interface, which may come and go.
    if (StringPrototypeIncludes(text, '%')) return parsed;
    if (known.size >= TARGETS) known.clear();
    target = parsed;
    known.set(text, target);
  }
  return target;
}

/** Sockets with messages that count as sent since the last end of a turn. */
const busy: Datagram[] = [];
let sentOutside = 0;
let checking = false;
let refusesTry: boolean | undefined;

/** Node's switch for its own tests: nothing is sent inside the call. */
function triesNothing(): boolean {
  refusesTry ??= ArrayPrototypeSome(
    execArgv,
    (option) => StringPrototypeReplaceAll(option, '_', '-') === '--test-udp-no-try-send',
  );
  return refusesTry;
}

/** The end of a turn, or of a delivery: what gathered has been handed over. */
export function endSendingTurn(): void {
  sentOutside = 0;
  if (busy.length === 0) return;
  for (let index = 0; index < busy.length; index += 1) (busy[index] as Datagram).acknowledged = 0;
  busy.length = 0;
}

function flushGathered(): void {
  checking = false;
  getEnvironment().submit();
  endSendingTurn();
}

function mayAcknowledge(socket: Datagram, peer: string | undefined, length: number, hasCallback: boolean): boolean {
  if (socket.pressed || socket.slot < 0 || length > LARGEST || !socket.proved.has(peer)) return false;
  if (peer === undefined && hasCallback) return false;
  if (socket.acknowledged + length > TURN_SENT_BYTES || socket.sends.length > 0) return false;
  const environment = getEnvironment();
  return environment.delivering ? environment.hasRoom() : ++sentOutside > AT_ONCE && environment.hasRoom();
}

/** Writes one message at a place of the outbox. */
function write(at: number, target: Target | null, port: number, list: readonly ArrayBufferView[]): void {
  const { outbox, outboxWords } = getEnvironment();
  let to = at;
  if (target !== null) {
    const { words } = target;
    let word = at >> 2;
    for (let index = 0; index < words.length; index += 1) outboxWords[word++] = words[index] as number;
    outboxWords[word++] = port;
    to = word << 2;
  }
  for (let index = 0; index < list.length; index += 1) {
    const chunk = list[index] as ArrayBufferView;
    // Anything with bytes, as Node's own handle takes it.
    TypedArrayPrototypeSet(outbox, chunk instanceof Uint8Array ? chunk : bytesOf(chunk), to);
    to += chunk.byteLength;
  }
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function lengthOf(list: readonly ArrayBufferView[]): number {
  let length = 0;
  for (let index = 0; index < list.length; index += 1) length += (list[index] as ArrayBufferView).byteLength;
  return length;
}

/** `host` is undefined for the connected peer. Returns the bytes and one, 0 when it waits, or an errno. */
export function send(
  socket: Datagram,
  v6: boolean,
  request: Request,
  list: readonly ArrayBufferView[],
  port: number,
  host: string | undefined,
  hasCallback: boolean,
): number {
  const target = host === undefined ? null : targetOf(host, v6);
  if (host !== undefined && target === null) return errno.EINVAL;
  if (socket.closed) return errno.EBADF;
  if (target === null ? !socket.connected : socket.connected)
    return target === null ? errno.EDESTADDRREQ : errno.EISCONN;
  const length = lengthOf(list);
  const environment = getEnvironment();
  const flags = target?.flag ?? 0;
  const head = target === null ? 0 : target.words.byteLength + 4;
  if (mayAcknowledge(socket, host, length, hasCallback)) {
    write(environment.gather(socket, head + length, flags), target, port, list);
    if (socket.acknowledged === 0) ArrayPrototypePush(busy, socket);
    socket.acknowledged += length;
    environment.submitDatagrams();
    if (environment.gathered > 0 && !environment.delivering && !checking) {
      checking = true;
      deferToCheck(flushGathered);
    }
    return length + 1;
  }
  if (length > LARGEST && head + length > environment.largestDatagram) return errno.EMSGSIZE;
  const status = socket.bindAny(v6);
  if (status !== 0) return status;
  // Behind whatever was sent before.
  if (socket.acknowledged > 0 || environment.gathered > 0) environment.settle();
  let sent = false;
  if (socket.sends.length === 0 && !socket.pressed) {
    write(environment.alone(socket, head + length, flags), target, port, list);
    const result = environment.native.sendUdp(socket.fd, environment.aloneBytes(head + length));
    sent = result === 0;
    if (!triesNothing()) {
      if (sent) {
        if (socket.proved.size >= TARGETS) socket.proved.clear();
        socket.proved.add(host);
        return length + 1;
      }
      if (result !== errno.EAGAIN) return result;
    }
  }
  socket.enter();
  begin(request, 'UDPSENDWRAP', socket.scope);
  ArrayPrototypePush(socket.sends, { request, bytes: length, hasCallback, sent });
  socket.queuedBytes += length;
  socket.updateLiveness();
  const hand = (): void => {
    write(environment.gather(socket, head + length, flags | NOTIFY), target, port, list);
    environment.submit();
  };
  if (triesNothing()) later(socket, sent, hand);
  else hand();
  return 0;
}

/** Under Node's switch a message is told of later than it was sent; one behind another leaves later, too. */
function later(socket: Datagram, sent: boolean, hand: () => void): void {
  deferToCheck(() => {
    if (socket.closed) return;
    if (sent) socket.endSend(0);
    else hand();
  });
}

/** A message that counted as sent was refused: the next one is sent inside its call, which hears why. */
export function onSendFailed(socket: Datagram): void {
  socket.proved.clear();
}
