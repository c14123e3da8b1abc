/**
 * Certificates and revocation lists, written byte by byte: the corpus of test/tls needs what no tool makes (a version 1
 * intermediate, a flipped signature, SHA-1, a path length that is broken), and hundreds of them in a second.
 */
import { createHash, createSign, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** One value of DER. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

export const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
const set = (...parts: readonly Buffer[]) => der(0x31, ...parts);
const octets = (bytes: Buffer) => der(0x04, bytes);
const bits = (bytes: Buffer, unused = 0) => der(0x03, Buffer.from([unused]), bytes);
const truth = (value: boolean) => der(0x01, Buffer.from([value ? 0xff : 0]));
const nothing = der(0x05);
/** A value under a number of its context: constructed, or of the type that the number stands for. */
const tagged = (number: number, ...parts: readonly Buffer[]) => der(0xa0 | number, ...parts);
const implicit = (number: number, bytes: Buffer) => der(0x80 | number, bytes);

function integer(value: number): Buffer {
  const bytes = [];
  for (let rest = value; rest > 0 || bytes.length === 0; rest = Math.floor(rest / 256)) bytes.unshift(rest & 0xff);
  if ((bytes[0] ?? 0) >= 0x80) bytes.unshift(0);
  return der(0x02, Buffer.from(bytes));
}

function identifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const number of rest) {
    const group = [number & 0x7f];
    for (let left = number >> 7; left > 0; left >>= 7) group.unshift((left & 0x7f) | 0x80);
    bytes.push(...group);
  }
  return der(0x06, Buffer.from(bytes));
}

function time(at: Date): Buffer {
  const text = at.toISOString().replace(/[-:T]|\.\d+/g, '');
  // Two digits of the year until 2049, as the standard wants it.
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

const name = (common: string) => sequence(set(sequence(identifier('2.5.4.3'), der(0x0c, Buffer.from(common)))));

export interface Keys {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export const newKeys = {
  ec: (namedCurve = 'prime256v1'): Keys => generateKeyPairSync('ec', { namedCurve }),
  rsa: (modulusLength = 2048): Keys => generateKeyPairSync('rsa', { modulusLength }),
  pss: (): Keys => generateKeyPairSync('rsa-pss', { modulusLength: 2048 }),
  ed25519: (): Keys => generateKeyPairSync('ed25519'),
};

type Digest = 'sha1' | 'sha256' | 'sha384';

/** The algorithm of a signature, and the signature. */
function signer(key: KeyObject, digest: Digest): { algorithm: Buffer; sign: (bytes: Buffer) => Buffer } {
  const withDigest = (bytes: Buffer) => createSign(digest).update(bytes).sign(key);
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return { algorithm: sequence(identifier('1.3.101.112')), sign: (bytes) => sign(null, bytes, key) };
    case 'ec': {
      const number = { sha1: '1', sha256: '3.2', sha384: '3.3' }[digest];
      return { algorithm: sequence(identifier(`1.2.840.10045.4.${number}`)), sign: withDigest };
    }
    case 'rsa-pss': {
      const sha = sequence(identifier('2.16.840.1.101.3.4.2.1'), nothing);
      const mask = sequence(identifier('1.2.840.113549.1.1.8'), sha);
      const parameters = sequence(tagged(0, sha), tagged(1, mask), tagged(2, integer(32)));
      return {
        algorithm: sequence(identifier('1.2.840.113549.1.1.10'), parameters),
        sign: (bytes) => sign('sha256', bytes, { key, saltLength: 32 }),
      };
    }
    default: {
      const number = { sha1: 5, sha256: 11, sha384: 12 }[digest];
      return { algorithm: sequence(identifier(`1.2.840.113549.1.1.${number}`), nothing), sign: withDigest };
    }
  }
}

export interface Extension {
  readonly id: string;
  readonly critical?: boolean;
  readonly value: Buffer;
}

/** Bits of a key usage, the first being digitalSignature. */
function usage(...places: readonly number[]): Buffer {
  const last = Math.max(...places);
  let value = 0;
  for (const place of places) value |= 0x80 >> place;
  return bits(Buffer.from([value]), 7 - last);
}

export const extensions = {
  authority: (pathLength?: number): Extension => ({
    id: '2.5.29.19',
    critical: true,
    value: sequence(truth(true), ...(pathLength === undefined ? [] : [integer(pathLength)])),
  }),
  endEntity: (): Extension => ({ id: '2.5.29.19', value: sequence() }),
  signs: (): Extension => ({ id: '2.5.29.15', critical: true, value: usage(0) }),
  signsCertificates: (): Extension => ({ id: '2.5.29.15', critical: true, value: usage(5, 6) }),
  signsLists: (): Extension => ({ id: '2.5.29.15', critical: true, value: usage(6) }),
  purposes: (...numbers: readonly number[]): Extension => ({
    id: '2.5.29.37',
    value: sequence(...numbers.map((number) => identifier(`1.3.6.1.5.5.7.3.${number}`))),
  }),
  hosts: (...hosts: readonly string[]): Extension => ({
    id: '2.5.29.17',
    value: sequence(...hosts.map((host) => implicit(2, Buffer.from(host)))),
  }),
  permitted: (host: string): Extension => ({
    id: '2.5.29.30',
    critical: true,
    value: sequence(tagged(0, sequence(implicit(2, Buffer.from(host))))),
  }),
  unknown: (critical: boolean): Extension => ({ id: '1.3.6.1.4.1.55555.1', critical, value: nothing }),
};

export interface Certificate {
  readonly der: Buffer;
  readonly pem: string;
  readonly subject: string;
  readonly keys: Keys;
  readonly serial: number;
}

export interface Wanted {
  readonly subject: string;
  readonly keys: Keys;
  /** Itself if there is none. */
  readonly issuer?: Certificate;
  readonly extensions?: readonly Extension[];
  readonly version?: 1 | 3;
  readonly digest?: Digest;
  /** Days from now. */
  readonly from?: number;
  readonly until?: number;
  /** A bit of the signature is turned. */
  readonly forged?: boolean;
}

const DAY = 86_400_000;
let serials = 1000;

const pem = (what: string, bytes: Buffer) =>
  [`-----BEGIN ${what}-----`, ...(bytes.toString('base64').match(/.{1,64}/g) ?? []), `-----END ${what}-----`, ''].join(
    '\n',
  );

function identifierOf(keys: Keys): Buffer {
  return createHash('sha1')
    .update(keys.publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
}

export function certificate(wanted: Wanted): Certificate {
  const { subject, keys, issuer, version = 3, digest = 'sha256', from = -2, until = 300, forged = false } = wanted;
  const serial = serials++;
  const { algorithm, sign: signature } = signer((issuer?.keys ?? keys).privateKey, digest);
  const all: Extension[] = [
    ...(wanted.extensions ?? []),
    { id: '2.5.29.14', value: octets(identifierOf(keys)) },
    { id: '2.5.29.35', value: sequence(implicit(0, identifierOf(issuer?.keys ?? keys))) },
  ];
  const written = all.map(({ id, critical = false, value }) =>
    sequence(identifier(id), ...(critical ? [truth(true)] : []), octets(value)),
  );
  const now = Date.now();
  const body = sequence(
    ...(version === 3 ? [tagged(0, integer(2))] : []),
    integer(serial),
    algorithm,
    name(issuer?.subject ?? subject),
    sequence(time(new Date(now + from * DAY)), time(new Date(now + until * DAY))),
    name(subject),
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    ...(version === 3 ? [tagged(3, sequence(...written))] : []),
  );
  const signed = signature(body);
  const last = signed.length - 1;
  if (forged) signed[last] = (signed[last] ?? 0) ^ 1;
  const bytes = sequence(body, algorithm, bits(signed));
  return { der: bytes, pem: pem('CERTIFICATE', bytes), subject, keys, serial };
}

/** A revocation list, as PEM. */
export function revocationList(
  issuer: Certificate,
  revoked: readonly Certificate[],
  { from = -2, until = 30 } = {},
): string {
  const { algorithm, sign: signature } = signer(issuer.keys.privateKey, 'sha256');
  const at = (days: number) => time(new Date(Date.now() + days * DAY));
  const entries = revoked.map(({ serial }) => sequence(integer(serial), at(from)));
  const body = sequence(
    integer(1),
    algorithm,
    name(issuer.subject),
    at(from),
    at(until),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
  );
  return pem('X509 CRL', sequence(body, algorithm, bits(signature(body))));
}

/** A private key as PEM, encrypted where a passphrase is given. */
export function keyPem({ privateKey }: Keys, passphrase?: string): string {
  return privateKey
    .export({
      type: 'pkcs8',
      format: 'pem',
      ...(passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }),
    })
    .toString();
}
