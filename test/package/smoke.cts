/**
 * The smoke of an installed package: an http server asked by http and by fetch, datagrams, a child, all in a plain program
 * that is copied beside node_modules. One line of JSON says what ran it; whatever does not hold ends it with an exception.
 */
import { ok, strictEqual } from 'node:assert';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Tsloop {
  status(): { active: boolean; driver: string; version: string };
  stats(): { connections: { accepted: number }; datagrams: { received: number }; panics: number };
  buildInfo(): { version: string; target: string; profile: string };
}

/** Longer than a chunk, so that it arrives in pieces. */
const BODY = 'tsloop '.repeat(40_000);

const ask = (port: number): Promise<string> =>
  new Promise((resolve, reject) => {
    const request = send({ port, host: '127.0.0.1', method: 'POST' }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => resolve(text));
    });
    request.on('error', reject).end(BODY);
  });

async function serve(): Promise<void> {
  const server = createServer((request, response) => request.pipe(response));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const several = Array.from({ length: 20 }, () => ask(port));
  for (const text of await Promise.all(several)) strictEqual(text, BODY);
  const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: BODY });
  strictEqual(await answer.text(), BODY);
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
}

async function exchange(): Promise<void> {
  const [one, other] = [createSocket('udp4'), createSocket('udp4')];
  other.on('message', (message, peer) => other.send(message, peer.port, peer.address));
  await new Promise<void>((bound) => other.bind(0, '127.0.0.1', bound));
  const back = new Promise<string>((resolve) => one.on('message', (message) => resolve(String(message))));
  one.send('datagram', other.address().port, '127.0.0.1');
  strictEqual(await back, 'datagram');
  one.close();
  other.close();
}

function run(): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('/bin/echo', ['child'], (error, stdout) => (error ? reject(error) : resolve(stdout.trim())));
  });
}

async function main(): Promise<void> {
  await serve();
  await exchange();
  strictEqual(await run(), 'child');
  const tsloop = require('tsloop') as Tsloop;
  const { active, driver, version } = tsloop.status();
  const { connections, datagrams, panics } = tsloop.stats();
  const build = tsloop.buildInfo();
  strictEqual(active, true);
  strictEqual(driver, process.env['TSLOOP_DRIVER']);
  strictEqual(build.version, version);
  strictEqual(panics, 0);
  ok(connections.accepted >= 2 && datagrams.received >= 2, 'it was tsloop that moved the bytes');
  console.log(JSON.stringify({ node: process.version, arch: process.arch, driver, target: build.target }));
}

main();
