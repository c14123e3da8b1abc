/** What a server says in the clear: enough of its messages to see what was negotiated. */

export interface Said {
  /** Of the first ServerHello, which may be one that asks for another share. */
  readonly version: number | null;
  readonly suite: number | null;
  readonly group: number | null;
  readonly retry: boolean;
  /** TLS 1.2 alone. */
  readonly scheme: number | null;
  readonly certificates: readonly Buffer[] | null;
  /** An alert instead of an answer, or behind it. */
  readonly alert: number | null;
}

/** The random value that marks a HelloRetryRequest. */
const RETRY = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c';

/** Reads a server's bytes from the beginning, as far as they are in the clear. */
export function messages(bytes: Buffer): Said {
  let version: number | null = null;
  let suite: number | null = null;
  let group: number | null = null;
  let scheme: number | null = null;
  let alert: number | null = null;
  let certificates: Buffer[] | null = null;
  let retry = false;
  let clear = Buffer.alloc(0);
  for (let at = 0; at + 5 <= bytes.length; ) {
    const [kind, length] = [bytes.readUInt8(at), bytes.readUInt16BE(at + 3)];
    const body = bytes.subarray(at + 5, at + 5 + length);
    if (kind === 22) clear = Buffer.concat([clear, body]);
    else if (kind === 21 && body.length === 2) alert = body.readUInt8(1);
    // What follows is encrypted.
    if (kind === 20 || kind === 23) break;
    at += 5 + length;
  }
  for (let at = 0; at + 4 <= clear.length; ) {
    const [kind, length] = [clear.readUInt8(at), clear.readUIntBE(at + 1, 3)];
    const body = clear.subarray(at + 4, at + 4 + length);
    at += 4 + length;
    if (body.length < length) break;
    if (kind === 2 && version === null) {
      ({ version, suite, group, retry } = serverHello(body));
    } else if (kind === 11 && version !== 0x0304) {
      certificates = [];
      for (let place = 3; place + 3 <= body.length; ) {
        const size = body.readUIntBE(place, 3);
        certificates.push(body.subarray(place + 3, place + 3 + size));
        place += 3 + size;
      }
    } else if (kind === 12 && body.readUInt8(0) === 3) {
      // Named curves; other parameters are Diffie-Hellman's.
      group = body.readUInt16BE(1);
      scheme = body.readUInt16BE(4 + body.readUInt8(3));
    }
  }
  return { version, suite, group, retry, scheme, certificates, alert };
}

function serverHello(body: Buffer): { version: number; suite: number; group: number | null; retry: boolean } {
  const session = body.readUInt8(34);
  const suite = body.readUInt16BE(35 + session);
  let [version, group]: [number, number | null] = [body.readUInt16BE(0), null];
  for (let at = 40 + session; at + 4 <= body.length; ) {
    const [kind, length] = [body.readUInt16BE(at), body.readUInt16BE(at + 2)];
    if (kind === 43) version = body.readUInt16BE(at + 4);
    if (kind === 51) group = body.readUInt16BE(at + 4);
    at += 4 + length;
  }
  return { version, suite, group, retry: body.toString('hex', 2, 34) === RETRY };
}
