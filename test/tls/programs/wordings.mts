/** Every alert that a peer may send: how Node words it, and how the oracle does. One line each. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import * as tls from 'node:tls';
import { alert, reason } from './probe.mjs';

// Before Node's first context, that is before OpenSSL's strings are there by themselves.
const early = alert(40);

for (const number of [
  10, 20, 22, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 60, 70, 71, 80, 86, 90, 109, 110, 112, 115, 116, 120, 255,
]) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    // A record of two bytes: fatal, and which.
    socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, number])));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = tls.connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ca: [] });
  const [error] = (await once(client, 'error').catch((error) => [error])) as [Error & { reason?: string }];
  console.log(JSON.stringify({ number, node: error.reason ?? null, oracle: alert(number) }));
  server.close();
}

// A reason that is no alert: what comes is no TLS at all.
const server = createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const client = tls.connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', ca: [] });
const [error] = (await once(client, 'error').catch((error) => [error])) as [Error & { reason?: string }];
server.close();
console.log(
  JSON.stringify({ number: 'wrong version', node: error.reason ?? null, oracle: [reason(267), reason(397)] }),
);
console.log(JSON.stringify({ number: 'early', node: early, oracle: alert(40) }));
