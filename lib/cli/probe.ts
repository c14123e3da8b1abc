/**
 * The program that `tsloop doctor` runs under the preload: one echo over TCP and one over a unix-domain socket, then
 * one line of JSON with what tsloop says of itself. A plain program otherwise; it ends by itself.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type ListenOptions } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildInfo, stats, status } from '../index';

const MESSAGE = 'tsloop doctor';

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
    const findings = { status: status(), stats: stats(), build: builtFrom(), echoed: { tcp, unix } };
    console.log(JSON.stringify(findings));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  console.log(JSON.stringify({ error: String(error) }));
});
