/**
/**
 * The program that `tsloop doctor` runs, under the preload and without: a round trip over TCP, over a unix-domain socket, over TLS
 * and by datagrams, a child's output, a timer, then one line of JSON with what tsloop says of itself. A plain program otherwise:
 * it writes no file, and ends by itself.
 */

import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { type AddressInfo, connect, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { buildInfo, stats, status } from '../index';
import { DatagramOffer } from '../native/protocol';

const MESSAGE = 'tsloop doctor';

/** The module of which there is one in this process: `dist/boot.js` has joined it with those that the preload runs on. */
function environments(): typeof import('../context/environment') {
  const load = require('../boot.js') as (file: string) => typeof import('../context/environment');
  return load('context/environment.js');
}

/** How long a round trip may take: a filter may swallow what is sent, and nobody says that it was lost. */
const TRIP_MS = 5_000;

/** Whether a message comes back whole over what two functions make. */
function echo(
  listen: (serve: (socket: Socket) => void) => Server,
  where: ListenOptions,
  call: (server: Server) => Socket,
): Promise<boolean> {
  return new Promise((resolve) => {
    let client: Socket | null = null;
    const server = listen((socket) => {
      // Nothing to say: the client's verdict is the answer.
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    const finish = (verdict: boolean): void => {
      clearTimeout(late);
      client?.destroy();
      server.close();
      resolve(verdict);
    };
    const late = setTimeout(finish, TRIP_MS, false);
    server.on('error', () => finish(false));
    server.on('tlsClientError', () => finish(false));
    server.listen(where, () => {
      client = call(server);
      let back = '';
      client.setEncoding('utf8').on('data', (text) => {
        back += text;
      });
      client.on('error', () => finish(false)).on('end', () => finish(back === MESSAGE));
      client.end(MESSAGE);
    });
  });
}

const loopback = { host: '127.0.0.1', port: 0 };

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

const echoTcp = (): Promise<boolean> => echo(createServer, loopback, (server) => connect(portOf(server), '127.0.0.1'));

/** In the name space that is no file system: there may be no folder to write in. */
function echoUnix(): Promise<boolean> {
  const path = `\0tsloop-doctor-${process.pid}`;
  return echo(createServer, { path }, () => connect({ path }));
}

/** With a key that both have already: certificates would have to be made, or to lie somewhere. */
function echoTls(): Promise<boolean> {
  const psk = Buffer.alloc(32, 'doctor');
  const options = { ciphers: 'PSK', maxVersion: 'TLSv1.2' as const, minVersion: 'TLSv1.2' as const };
  return echo(
    (serve) => createTlsServer({ ...options, pskCallback: () => psk }, serve),
    loopback,
    (server) =>
      connectTls({
        ...options,
        host: '127.0.0.1',
        port: portOf(server),
        pskCallback: () => ({ psk, identity: 'doctor' }),
        checkServerIdentity: () => undefined,
      }),
  );
}

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
    const lost = setTimeout(finish, TRIP_MS, false);
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

const timer = (): Promise<boolean> => new Promise((resolve) => setTimeout(resolve, 1, true));

async function main(): Promise<void> {
  const echoed = {
    tcp: await echoTcp(),
    unix: await echoUnix(),
    tls: await echoTls(),
    udp: await echoDatagram(),
    child: await child(),
    timer: await timer(),
  };
  const findings = { status: status(), stats: stats(), build: builtFrom(), echoed, datagrams: datagramOffers() };
  console.log(JSON.stringify(findings));
}

main().catch((error: unknown) => {
  console.log(JSON.stringify({ error: String(error) }));
});
