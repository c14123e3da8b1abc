/**
/**
 * The program that `tsloop doctor` runs under the preload: one echo over TCP, one over a unix-domain socket and one by
 * datagrams, a child's output, then one line of JSON with what tsloop says of itself. A plain program otherwise; it ends
 * by itself.
 */

import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type ListenOptions } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildInfo, stats, status } from '../index';
import { DatagramOffer } from '../native/protocol';

const MESSAGE = 'tsloop doctor';

/** The module of which there is one in this process: `dist/boot.js` has joined it with those that the preload runs on. */
function environments(): typeof import('../context/environment') {
  const load = require('../boot.js') as (file: string) => typeof import('../context/environment');
  return load('context/environment.js');
}

/** Whether a message comes back whole from a server that listens there. */
function echo(where: ListenOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      // Nothing to say: the client's verdict is the answer.
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    const finish = (verdict: boolean) => server.close(() => resolve(verdict));
    server.on('error', () => resolve(false));
    server.listen(where, () => {
      const address = server.address();
      const target = typeof address === 'string' ? { path: address } : { host: '127.0.0.1', port: address?.port ?? 0 };
      const client = connect(target, () => client.end(MESSAGE));
      let back = '';
      client.setEncoding('utf8').on('data', (text) => {
        back += text;
      });
      client.on('error', () => finish(false)).on('end', () => finish(back === MESSAGE));
    });
  });
}

/** How long a datagram may take; nobody says that it was lost. */
const DATAGRAM_MS = 5_000;

/** Whether a datagram comes back. */
function echoDatagram(): Promise<boolean> {
  return new Promise((resolve) => {
    const sockets = [createSocket('udp4'), createSocket('udp4')] as const;
    const [server, client] = sockets;
    const finish = (verdict: boolean) => {
      clearTimeout(lost);
      for (const socket of sockets) socket.close();
      resolve(verdict);
    };
    const lost = setTimeout(finish, DATAGRAM_MS, false);
    for (const socket of sockets) socket.on('error', () => finish(false));
    server.on('message', (message, peer) => server.send(message, peer.port, peer.address));
    client.on('message', (message) => finish(String(message) === MESSAGE));
    server.bind(0, '127.0.0.1', () => client.send(MESSAGE, server.address().port, '127.0.0.1'));
  });
}

/** What this kernel offers for many datagrams; null where the native part cannot be asked. */
function datagramOffers(): Record<string, boolean> | null {
  const offers = environments().findEnvironment()?.native.datagramOffers();
  if (offers === undefined) return null;
  return {
    'many to a call': (offers & DatagramOffer.batches) !== 0,
    'sent in groups (GSO)': (offers & DatagramOffer.cuts) !== 0,
    'received in groups (GRO)': (offers & DatagramOffer.joins) !== 0,
  };
}

/** Whether a child's output comes back: of the one program that is surely there. */
function child(): Promise<boolean> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--version'], { env: {} }, (error, stdout) =>
      resolve(error === null && stdout.trim() === process.version),
    );
  });
}

/** Null where the native part cannot be loaded: the status says why. */
function builtFrom(): ReturnType<typeof buildInfo> | null {
  try {
    return buildInfo();
  } catch {
    return null;
  }
}

async function main(): Promise<void> {
  const scratch = mkdtempSync(join(tmpdir(), 'tsloop-doctor-'));
  try {
    const tcp = await echo({ host: '127.0.0.1', port: 0 });
    const unix = await echo({ path: join(scratch, 'socket') });
    const udp = await echoDatagram();
    const echoed = { tcp, unix, udp, child: await child() };
    const findings = { status: status(), stats: stats(), build: builtFrom(), echoed, datagrams: datagramOffers() };
    console.log(JSON.stringify(findings));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  console.log(JSON.stringify({ error: String(error) }));
});
