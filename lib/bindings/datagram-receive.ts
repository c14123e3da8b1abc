/** Receiving: a message out of a batch becomes what `onmessage` expects, with memory of its own. */

import { messageIn } from '../context/async-scope';
import { getEnvironment } from '../context/environment';
import { Event } from '../native/protocol';
import { BufferAllocUnsafeSlow, MathImul, TypedArrayPrototypeSet, TypedArrayPrototypeSubarray } from '../primordials';
import type { Datagram } from './datagram';

/** Address texts by address; a direct-mapped cache, as every message of a peer needs its text again. */
const V4_TEXTS = 1024;
const v4Keys = new Int32Array(V4_TEXTS);
const v4Texts: string[] = [];
for (let index = 0; index < V4_TEXTS; index += 1) v4Texts[index] = '0.0.0.0';
const v4Word = new Int32Array(1);
const v4Bytes = new Uint8Array(v4Word.buffer);

function v4Text(address: number): string {
  const at = MathImul(address, 0x9e37_79b1) >>> 22;
  if (v4Keys[at] === address) return v4Texts[at] as string;
  v4Word[0] = address;
  const text = `${v4Bytes[0]}.${v4Bytes[1]}.${v4Bytes[2]}.${v4Bytes[3]}`;
  v4Keys[at] = address;
  v4Texts[at] = text;
  return text;
}

const V6_TEXTS = 64;
const V6_WORDS = 5;
const v6Keys = new Int32Array(V6_TEXTS * V6_WORDS);
const v6Texts: (string | undefined)[] = [];

/** The text of an IPv6 address and scope at a word of a batch's bytes. */
function v6Text(words: Int32Array, from: number): string {
  let hash = 0;
  for (let index = 0; index < V6_WORDS; index += 1)
    hash = MathImul(hash ^ (words[from + index] as number), 0x9e37_79b1);
  const slot = hash >>> 26;
  const at = slot * V6_WORDS;
  const known = v6Texts[slot];
  if (known !== undefined) {
    let index = 0;
    while (index < V6_WORDS && v6Keys[at + index] === words[from + index]) index += 1;
    if (index === V6_WORDS) return known;
  }
  const word = (index: number): number => words[from + index] as number;
  const text = getEnvironment().native.peerText(word(0), word(1), word(2), word(3), word(4));
  TypedArrayPrototypeSet(v6Keys, TypedArrayPrototypeSubarray(words, from, from + V6_WORDS), at);
  v6Texts[slot] = text;
  return text;
}

/** A message in a batch; the numbers are those of its event. */
export function onDatagram(
  socket: Datagram,
  bytes: Uint8Array,
  words: Int32Array,
  op: number,
  at: number,
  sizes: number,
  address: number,
): void {
  if (!socket.receiving) return;
  const v6 = op === Event.datagram6;
  const length = sizes & 0xffff;
  const from = v6 ? at + V6_WORDS * 4 : at;
  // Up to 64 bytes V8 keeps inside the object; larger ones get memory of their own size: none holds its neighbours.
  const message = BufferAllocUnsafeSlow(length);
  if (length > 0) TypedArrayPrototypeSet(message, TypedArrayPrototypeSubarray(bytes, from, from + length));
  const peer = {
    address: v6 ? v6Text(words, at >> 2) : v4Text(address),
    family: v6 ? 'IPv6' : 'IPv4',
    port: sizes >>> 16,
  };
  messageIn(socket.scope, socket.handle, length, message, peer);
}

/** Receiving failed. */
export function onDatagramError(socket: Datagram, status: number): void {
  if (socket.receiving) messageIn(socket.scope, socket.handle, status, undefined, undefined);
}
