/** The addon of native/probe inside this process: its path is the program's first argument. */

export interface Pair {
  readonly kind: string;
  readonly key: string | null;
  readonly chain: readonly string[];
  readonly signs: boolean;
  readonly compressed: boolean;
}

export interface Snapshot {
  readonly suites: readonly number[];
  readonly exchanges: readonly string[];
  readonly since: readonly number[];
  readonly min: number;
  readonly max: number;
  readonly options: string;
  readonly securityLevel: number;
  readonly special: boolean;
  readonly pairs: readonly Pair[];
  readonly timeout: number;
  readonly authorities: readonly string[];
  readonly groups: readonly number[] | null;
  readonly signatures: readonly number[] | null;
  readonly debug: string;
}

export interface Verdict {
  readonly number: number;
  readonly code: string | null;
  readonly message: string;
  readonly unverified?: string;
}

export interface Hello {
  readonly more?: number;
  readonly refused?: string;
  readonly length: number;
  readonly suites: readonly number[];
  readonly serverName: string | null;
  readonly protocols: readonly string[] | null;
  readonly groups: readonly number[] | null;
  readonly signatures: readonly number[] | null;
  readonly versions: readonly number[] | null;
  readonly keyShares: readonly number[] | null;
}

export interface Choice {
  readonly reason?: string;
  readonly version: number;
  readonly suite: number;
  readonly group: number;
  readonly retry: boolean;
  readonly pair: number;
  readonly scheme: number;
  readonly protocol: string | null;
}

interface Native {
  oracle(): string;
  open(external: unknown): string;
  describe(context: number): string;
  judge(context: number, server: boolean, chain: readonly Uint8Array[]): string;
  parse(bytes: Uint8Array): string;
  fits(context: number, server: boolean, curves: Uint8Array, diffieHellman: boolean): string;
  choice(
    context: number,
    hello: Uint8Array,
    curves: Uint8Array,
    diffieHellman: boolean,
    protocols: readonly Uint8Array[],
  ): string;
  reason(number: number): string;
  alert(number: number): string;
  serve(
    context: number,
    hello: Uint8Array,
    curves: Uint8Array,
    diffieHellman: boolean,
    protocols: readonly Uint8Array[],
    rest: Uint8Array,
  ): string;
  client(context: number, nothing: null, curves: Uint8Array): string;
  connect(client: number, name: Uint8Array, a: null, b: null, protocols: readonly Uint8Array[]): string;
  step(session: number, bytes: Uint8Array, plaintext: Uint8Array, last: boolean): string;
  facts(session: number): string;
  storm(context: number, server: boolean, chain: readonly Uint8Array[], threads: number): string;
}

const loaded: { exports: Partial<Native> } = { exports: {} };
process.dlopen(loaded, process.argv[2] ?? '');
const native = loaded.exports as Native;

/** A panic of the probe's has no answer. */
function answer<T>(json: string | undefined): T {
  if (json === undefined) throw new Error('the probe panicked');
  return JSON.parse(json) as T;
}

/** Anything with a native secure context: what `tls.createSecureContext` answers. */
export interface Secure {
  readonly context: unknown;
}

export const oracle = () => answer<{ version?: string; fips?: boolean; absent?: string }>(native.oracle());

export function open(secure: Secure): number {
  const context = answer<number | null>(native.open((secure.context as { _external: unknown })._external));
  if (context === null) throw new Error('the context was not read');
  return context;
}

export const describe = (context: number) => answer<Snapshot>(native.describe(context));
export const judge = (context: number, server: boolean, chain: readonly Buffer[]) =>
  answer<Verdict>(native.judge(context, server, chain));
export const parse = (bytes: Uint8Array) => answer<Hello>(native.parse(bytes));
export const fits = (context: number, server: boolean) =>
  answer<string | null>(native.fits(context, server, Buffer.alloc(0), false));
export const choose = (
  context: number,
  hello: Uint8Array,
  { curves = '', diffieHellman = false, protocols = [] as readonly string[] } = {},
) =>
  answer<Choice>(
    native.choice(
      context,
      hello,
      Buffer.from(curves),
      diffieHellman,
      protocols.map((protocol) => Buffer.from(protocol)),
    ),
  );
export const reason = (number: number) => answer<string | null>(native.reason(number));
export const alert = (number: number) => answer<string | null>(native.alert(number));
export const storm = (context: number, chain: readonly Buffer[], threads: number) =>
  answer<boolean>(native.storm(context, false, chain, threads));

/** Where a session begins, or why it does not. */
export interface Begun {
  readonly session?: number;
  readonly reason?: string;
  readonly failure?: number;
}

export interface Step {
  readonly records: Buffer;
  readonly plaintext: Buffer;
  readonly failure: number | null;
  readonly handshaking: boolean;
  readonly ended: boolean;
}

export interface Facts {
  readonly version: number;
  readonly suite: number;
  readonly group: number;
  readonly protocol: string | null;
  readonly reused: boolean;
  readonly chain: readonly string[];
  readonly exported: string;
}

const buffers = (texts: readonly string[]) => texts.map((text) => Buffer.from(text));

export function serve(
  context: number,
  hello: Buffer,
  ticketKeys: Buffer,
  { curves = '', diffieHellman = false, protocols = [] as readonly string[], request = false, require = false } = {},
): Begun {
  const rest = Buffer.concat([ticketKeys, Buffer.from([Number(request), Number(require)])]);
  return answer(native.serve(context, hello, Buffer.from(curves), diffieHellman, buffers(protocols), rest));
}

export const client = (context: number, curves = '') =>
  answer<number>(native.client(context, null, Buffer.from(curves)));
export const begin = (of: number, name: string, protocols: readonly string[] = []) =>
  answer<Begun>(native.connect(of, Buffer.from(name), null, null, buffers(protocols)));

export function step(session: number, bytes: Uint8Array, plaintext: Uint8Array = Buffer.alloc(0), last = false): Step {
  const {
    records,
    plaintext: read,
    ...rest
  } = answer<Omit<Step, 'records' | 'plaintext'> & Record<'records' | 'plaintext', string>>(
    native.step(session, bytes, plaintext, last),
  );
  return { ...rest, records: Buffer.from(records, 'hex'), plaintext: Buffer.from(read, 'hex') };
}

export const facts = (session: number) => answer<Facts | null>(native.facts(session));
