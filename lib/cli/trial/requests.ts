/** What the built-in load sends: of the command line or of a HAR file, and what plain Node answered to it. */

import { readFileSync } from 'node:fs';

/** Where a program listens. */
export interface Target {
  readonly protocol: Protocol;
  readonly secure: boolean;
  readonly host: string;
  readonly port: number | null;
  readonly path: string | null;
  /** What the program asked for, if it did not leave it to the system. */
  readonly asked: number | string | null;
}

export type Protocol = 'http' | 'http2' | 'ws' | 'tcp';

export interface Request {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

/** How an answer is compared: byte for byte, without its digits and identifiers, or by its status only. */
export type Strictness = 'exact' | 'shape' | 'status';

/** What plain Node answers to a request. */
export interface Expected {
  readonly statuses: readonly number[];
  readonly body: Uint8Array;
  readonly strictness: Strictness;
}

/** What no recorded request may bring along: it belongs to the connection, or would make the bodies unreadable. */
const OWN =
  /^(:|host$|connection$|keep-alive$|content-length$|transfer-encoding$|accept-encoding$|upgrade|proxy-|te$)/i;

/** The requests of a HAR file, in their order. */
export function readHar(file: string): Request[] {
  const { log } = JSON.parse(readFileSync(file, 'utf8')) as {
    log?: { entries?: { request: HarRequest }[] };
  };
  const entries = log?.entries ?? [];
  if (entries.length === 0) throw new Error(`${file} has no entries: it is no HAR file, or an empty one`);
  return entries.map(({ request: { method, url, headers, postData } }) => {
    const { pathname, search } = new URL(url);
    return {
      method,
      path: pathname + search,
      headers: headers.filter(({ name }) => !OWN.test(name)).map(({ name, value }) => [name, value] as const),
      body: postData?.text ?? '',
    };
  });
}

interface HarRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly { readonly name: string; readonly value: string }[];
  readonly postData?: { readonly text?: string };
}

/** The text of a request as HTTP/1.1 sends it. */
export function textOf({ method, path, headers, body }: Request, host: string): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  // A program that serves several names is told which by --header.
  if (!headers.some(([name]) => name.toLowerCase() === 'host')) lines.splice(1, 0, `Host: ${host}`);
  const bytes = Buffer.from(body);
  if (bytes.length > 0 || !/^(GET|HEAD|DELETE|OPTIONS)$/.test(method)) lines.push(`Content-Length: ${bytes.length}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]);
}
